-- Attack: pg_class says that the table has no triggers, then DELETE
-- As: superuser
-- Open without preload: a superuser may write the catalogue

UPDATE pg_class SET relhastriggers = false
WHERE oid IN (SELECT relid FROM pg_partition_tree('{target}') UNION SELECT '{target}'::regclass);
\reconnect
DELETE FROM {target};
