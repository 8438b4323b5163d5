-- Attack: DROP OWNED CASCADE of the owner's tables
-- As: superuser
-- On: plain, parted

DROP OWNED BY {owner} CASCADE;
