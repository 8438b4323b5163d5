-- Attack: DROP SCHEMA CASCADE
-- As: owner, superuser
-- On: plain, parted

DROP SCHEMA {schema} CASCADE;
