-- Attack: the primary key dropped
-- As: owner, superuser

ALTER TABLE {keyed} DROP CONSTRAINT {key_constraint};
