-- Attack: triggers off, DELETE, triggers on, in one transaction
-- As: owner, superuser

BEGIN;
ALTER TABLE {leaf} DISABLE TRIGGER ALL;
DELETE FROM {leaf};
ALTER TABLE {leaf} ENABLE ALWAYS TRIGGER {row_trigger};
COMMIT;
