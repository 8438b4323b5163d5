-- Attack: a shorter retention asked for, then DELETE
-- As: superuser
-- On: plain, parted
-- Fails anyway: 22023

SELECT audit.protect('{target}', '1 day', 'created_at');
SELECT audit.extend_retention('{target}', '1 day');
DELETE FROM {target} WHERE created_at < now() - interval '2 years';
