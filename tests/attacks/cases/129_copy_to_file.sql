-- Attack: COPY TO over the file, then a restart
-- As: superuser
-- Also refused with: 42501
-- Open without preload: a superuser may write files
-- Open lockdown on: a superuser may write files
-- On: stream, plain

CHECKPOINT;
DO $$
BEGIN
    EXECUTE format('COPY (SELECT ''x'' WHERE false) TO %L',
                   current_setting('data_directory') || '/' || pg_relation_filepath('{leaf}'));
END
$$;
\restart
