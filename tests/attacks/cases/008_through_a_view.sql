-- Attack: UPDATE and DELETE through a view
-- As: plain role, owner, superuser

CREATE VIEW evil.window AS SELECT * FROM {target};
UPDATE evil.window SET {text} = 'forged';
DELETE FROM evil.window;
