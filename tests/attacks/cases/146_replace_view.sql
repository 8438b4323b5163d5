-- Attack: the view through which people read the log hides rows
-- As: owner, superuser
-- On: stream

DO $$
BEGIN
    EXECUTE format('CREATE OR REPLACE VIEW audit.changes AS SELECT * FROM (%s) whole WHERE id > 1000',
                   rtrim(pg_get_viewdef('audit.changes'), ';'));
END
$$;
