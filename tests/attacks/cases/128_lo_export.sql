-- Attack: lo_export over the file, then a restart
-- As: superuser
-- Also refused with: 42501
-- Open without preload: a superuser may write files
-- Open lockdown on: a superuser may write files
-- On: stream, plain

CHECKPOINT;
SELECT lo_from_bytea(4711, decode(repeat('00', pg_relation_size('{leaf}')::int), 'hex'));
SELECT lo_export(4711, current_setting('data_directory') || '/' || pg_relation_filepath('{leaf}'));
\restart
\finally
SELECT lo_unlink(4711);
