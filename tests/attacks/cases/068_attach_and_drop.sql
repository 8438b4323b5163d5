-- Attack: the table attached to a partitioned table of the attacker, which is then dropped
-- As: owner, superuser
-- On: plain, parted
-- Travels: yes

CREATE TABLE evil.parent (LIKE {target} INCLUDING GENERATED) PARTITION BY RANGE ({time});
ALTER TABLE evil.parent ATTACH PARTITION {target} DEFAULT;
DROP TABLE evil.parent;
