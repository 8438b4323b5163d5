-- Attack: ENABLE REPLICA TRIGGER, and ENABLE TRIGGER that makes replica mode work, then DELETE
-- As: owner, superuser
-- Travels: yes

ALTER TABLE {target} ENABLE REPLICA TRIGGER {row_trigger}, ENABLE REPLICA TRIGGER {statement_trigger};
ALTER TABLE {leaf} ENABLE REPLICA TRIGGER {row_trigger};
DELETE FROM {target};
ALTER TABLE {target} ENABLE TRIGGER ALL;
