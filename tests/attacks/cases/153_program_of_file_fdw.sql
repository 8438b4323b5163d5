-- Attack: a foreign table whose program overwrites the file, then a restart
-- As: superuser
-- On: stream, plain
-- Extension: file_fdw
-- Also refused with: 42501, 42P01, 42704
-- Open without preload: a superuser may run programs
-- Open lockdown on: a superuser may run programs

CREATE EXTENSION file_fdw SCHEMA evil;
CREATE SERVER programs FOREIGN DATA WRAPPER file_fdw;
CHECKPOINT;
DO $$
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE evil.run (line text) SERVER programs OPTIONS (program %L)', format(
        'head -c %s /dev/zero >%s/%s', pg_relation_size('{leaf}'), current_setting('data_directory'),
        pg_relation_filepath('{leaf}')));
END
$$;
SELECT * FROM evil.run;
\restart
\finally
DROP EXTENSION file_fdw CASCADE;
