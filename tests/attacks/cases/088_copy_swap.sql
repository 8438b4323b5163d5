-- Attack: a copy with fewer rows put in place of the table
-- As: owner, superuser

BEGIN;
CREATE TABLE evil.copy (LIKE {target} INCLUDING ALL);
INSERT INTO evil.copy ({columns}) SELECT {columns} FROM {target} LIMIT 10;
ALTER TABLE {target} SET SCHEMA evil;
ALTER TABLE evil.{table} RENAME TO original;
ALTER TABLE evil.copy RENAME TO {table};
ALTER TABLE evil.{table} SET SCHEMA {schema};
COMMIT;
