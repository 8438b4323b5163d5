-- Attack: ALTER COLUMN TYPE that keeps the values
-- As: owner, superuser

ALTER TABLE {target} ALTER {free} TYPE {wider_type};
