-- Attack: session_preload_libraries of a role names a library that takes the hooks away
-- As: superuser
-- Open without preload: a superuser may load code
-- Open lockdown on: a superuser may load code

\library
ALTER ROLE postgres IN DATABASE {database} SET session_preload_libraries = '{folder}/unhook.so';
\reconnect
UPDATE pg_class SET relhastriggers = false
WHERE oid IN (SELECT relid FROM pg_partition_tree('{target}') UNION SELECT '{target}'::regclass);
\reconnect
DELETE FROM {target};
\finally
ALTER ROLE postgres IN DATABASE {database} RESET session_preload_libraries;
