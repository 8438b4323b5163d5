-- Attack: DELETE of expired rows that are held
-- As: owner, superuser
-- On: plain, parted

\as postgres
SELECT audit.place_hold('{target}', 'a trial', until => now() - interval '9 years');
\as {owner}
DELETE FROM {target} WHERE created_at < now() - interval '9 years';
\as postgres
DELETE FROM {target} WHERE created_at < now() - interval '9 years';
