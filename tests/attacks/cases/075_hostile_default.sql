-- Attack: a default that dates new rows back
-- As: owner, superuser

ALTER TABLE {target} ALTER {time} SET DEFAULT '1990-01-01';
ALTER TABLE {leaf} ALTER {time} SET DEFAULT '1990-01-01';
