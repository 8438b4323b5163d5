-- Attack: VACUUM FULL, which moves every row
-- As: owner, superuser
-- Harmless: rows stay what they are, wherever they lie

VACUUM FULL {leaf};
