-- Attack: the file renamed by adminpack, then a restart
-- As: superuser
-- On: stream, plain
-- Extension: adminpack
-- Also refused with: 42501, 42883
-- Open without preload: a superuser may write files
-- Open lockdown on: a superuser may write files

CREATE EXTENSION adminpack;
CHECKPOINT;
SELECT pg_file_rename(pg_relation_filepath('{leaf}'), pg_relation_filepath('{leaf}') || '_gone');
\restart
\finally
DROP EXTENSION adminpack;
