-- Attack: another name for the table in pg_class, and a new table in its place
-- As: superuser
-- Open without preload: a superuser may write the catalogue
-- Also refused with: 42P01

UPDATE pg_type SET typname = 'gone' WHERE typrelid = '{target}'::regclass;
UPDATE pg_class SET relname = 'gone' WHERE oid = '{target}'::regclass;
CREATE TABLE {target} (LIKE {schema}.gone);
