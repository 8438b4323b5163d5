-- Attack: the table renamed and replaced by an empty one
-- As: owner, superuser

BEGIN;
ALTER TABLE {target} RENAME TO gone;
CREATE TABLE {target} (LIKE {schema}.gone INCLUDING ALL);
COMMIT;
