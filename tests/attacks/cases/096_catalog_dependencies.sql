-- Attack: pg_depend forgets what triggers and the extension need
-- As: superuser
-- Open without preload: a superuser may write the catalogue

DELETE FROM pg_depend WHERE classid = 'pg_trigger'::regclass
    AND objid IN (SELECT oid FROM pg_trigger WHERE tgrelid = '{target}'::regclass);
DELETE FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e';
