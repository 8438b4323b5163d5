-- Attack: SET UNLOGGED, so that the rows go with the next crash
-- As: owner, superuser

ALTER TABLE {leaf} SET UNLOGGED;
