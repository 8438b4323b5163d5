-- Attack: DELETE in a prepared transaction
-- As: plain role, superuser
-- Also refused with: 42704

BEGIN;
DELETE FROM {target};
PREPARE TRANSACTION 'attack';
COMMIT PREPARED 'attack';
