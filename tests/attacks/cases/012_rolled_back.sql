-- Attack: a refused DELETE that is rolled back
-- As: plain role, superuser
-- Harmless: it takes back itself what it did; the attempt is evidence all the same

BEGIN;
SAVEPOINT before;
DELETE FROM {target};
ROLLBACK TO before;
COMMIT;
