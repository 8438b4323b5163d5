-- Attack: DROP TABLE CASCADE, of the whole and of one partition
-- As: owner, superuser

DROP TABLE {leaf} CASCADE;
\if parted
DROP TABLE {target} CASCADE;
\endif
