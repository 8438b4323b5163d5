-- Attack: DROP TYPE CASCADE, which drops a column
-- As: owner, superuser
-- On: plain, parted

DROP TYPE {enum} CASCADE;
