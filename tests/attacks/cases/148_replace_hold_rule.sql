-- Attack: the function that finds held rows replaced, then DELETE of held rows
-- As: superuser
-- On: plain, parted

SELECT audit.place_hold('{target}', 'a trial', until => now() - interval '9 years');
CREATE OR REPLACE FUNCTION audit._hold_condition(target_oid text) RETURNS text LANGUAGE sql STABLE
AS $$ SELECT '' $$;
DELETE FROM {target} WHERE created_at < now() - interval '9 years';
