-- Attack: SET SCHEMA, and a new table in its place
-- As: owner, superuser

BEGIN;
ALTER TABLE {target} SET SCHEMA evil;
CREATE TABLE {target} (LIKE evil.{table} INCLUDING ALL);
COMMIT;
