-- Attack: DROP TABLE
-- As: owner, superuser
-- Travels: yes

\if stream
DROP TABLE {leaf};
\endif
\if plain, parted
DROP TABLE {target};
\endif
