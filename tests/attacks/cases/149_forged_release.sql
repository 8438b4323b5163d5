-- Attack: a hold released by a row written by hand, then DELETE of held rows
-- As: superuser
-- On: plain, parted
-- Also refused with: 42501

SELECT audit.place_hold('{target}', 'a trial', until => now() - interval '9 years');
INSERT INTO audit.hold_releases (hold_id, reason, released_by, transaction_id)
SELECT id, 'none', 'nobody', 1 FROM audit.holds;
DELETE FROM {target} WHERE created_at < now() - interval '9 years';
