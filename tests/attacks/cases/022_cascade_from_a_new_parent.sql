-- Attack: a new foreign key ON DELETE CASCADE, then DELETE of the parent
-- As: owner, superuser

BEGIN;
CREATE TABLE evil.parent (id bigint PRIMARY KEY);
INSERT INTO evil.parent SELECT DISTINCT {reference} FROM {target};
ALTER TABLE {target} ADD FOREIGN KEY ({reference}) REFERENCES evil.parent ON DELETE CASCADE;
DELETE FROM evil.parent;
COMMIT;
