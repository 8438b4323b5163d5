-- Attack: ADD COLUMN with a default
-- As: owner, superuser

ALTER TABLE {target} ADD COLUMN verdict text DEFAULT 'forged';
