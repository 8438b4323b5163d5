-- Attack: COPY TO PROGRAM that overwrites the file, then a restart
-- As: superuser
-- Also refused with: 42501
-- Open without preload: a superuser may run programs
-- Open lockdown on: a superuser may run programs
-- On: stream, plain

CHECKPOINT;
DO $$
BEGIN
    EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', format('cat >/dev/null; head -c %s /dev/zero >%s/%s',
        pg_relation_size('{leaf}'), current_setting('data_directory'), pg_relation_filepath('{leaf}')));
END
$$;
\restart
