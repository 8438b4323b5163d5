-- Attack: the database renamed and replaced by an empty one
-- As: superuser
-- On: stream
-- Open without preload: no trigger sees commands about whole databases
-- Also refused with: 42P04

\in postgres
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}';
ALTER DATABASE {database} RENAME TO {database}_gone;
CREATE DATABASE {database} TEMPLATE template0;
