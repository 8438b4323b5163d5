-- Attack: DISABLE TRIGGER USER, then UPDATE
-- As: owner, superuser

ALTER TABLE {target} DISABLE TRIGGER USER;
ALTER TABLE {leaf} DISABLE TRIGGER USER;
UPDATE {target} SET {text} = 'forged';
