-- Attack: LOAD of a library that takes the hooks away, then the catalogue and DELETE
-- As: superuser
-- Open without preload: a superuser may load code
-- Open lockdown on: a superuser may load code

\library
LOAD '{folder}/unhook.so';
UPDATE pg_class SET relhastriggers = false
WHERE oid IN (SELECT relid FROM pg_partition_tree('{target}') UNION SELECT '{target}'::regclass);
DELETE FROM {target};
