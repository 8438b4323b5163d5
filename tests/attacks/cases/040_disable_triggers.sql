-- Attack: DISABLE TRIGGER ALL, then DELETE
-- As: owner, superuser
-- Travels: yes

ALTER TABLE {target} DISABLE TRIGGER ALL;
ALTER TABLE {leaf} DISABLE TRIGGER ALL;
DELETE FROM {target};
