-- Attack: DROP COLUMN
-- As: owner, superuser

ALTER TABLE {target} DROP COLUMN {free} CASCADE;
