-- Attack: CREATE FUNCTION LANGUAGE C of a library that takes the hooks away
-- As: superuser
-- Open without preload: a superuser may load code
-- Open lockdown on: a superuser may load code
-- Also refused with: 42883

\library
CREATE FUNCTION evil.unhook() RETURNS void LANGUAGE c AS '{folder}/unhook.so', 'unhook';
SELECT evil.unhook();
UPDATE pg_class SET relhastriggers = false
WHERE oid IN (SELECT relid FROM pg_partition_tree('{target}') UNION SELECT '{target}'::regclass);
DELETE FROM {target};
