-- Attack: ALTER COLUMN TYPE USING, which writes every row anew
-- As: owner, superuser
-- Travels: yes

ALTER TABLE {target} ALTER {free} TYPE {free_type} USING {free_value};
