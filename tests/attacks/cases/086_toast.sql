-- Attack: DELETE from the TOAST table
-- As: superuser
-- Harmless: the server itself refuses changes of TOAST tables
-- Fails anyway: 42809

DO $$
BEGIN
    EXECUTE format('DELETE FROM %s',
                   (SELECT reltoastrelid::regclass FROM pg_class WHERE oid = '{leaf}'::regclass));
END
$$;
