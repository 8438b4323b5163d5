-- Attack: TRUNCATE of a new parent CASCADE
-- As: owner, superuser

BEGIN;
CREATE TABLE evil.parent (id bigint PRIMARY KEY);
INSERT INTO evil.parent SELECT DISTINCT {reference} FROM {target};
ALTER TABLE {target} ADD FOREIGN KEY ({reference}) REFERENCES evil.parent;
TRUNCATE evil.parent CASCADE;
COMMIT;
