-- Attack: DROP DATABASE from another database
-- As: superuser
-- On: stream
-- Open without preload: no trigger sees commands about whole databases

\in postgres
DROP DATABASE {database} WITH (FORCE);
