-- Attack: the trigger of one partition switched off, then DELETE
-- As: owner, superuser
-- On: stream, parted

ALTER TABLE {leaf} DISABLE TRIGGER {row_trigger};
DELETE FROM {leaf};
