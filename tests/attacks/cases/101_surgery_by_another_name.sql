-- Attack: pg_surgery under a name of the attacker's, called inside plpgsql
-- As: superuser
-- Extension: pg_surgery
-- Open without preload: a function call that no trigger sees
-- Also refused with: 42883

CREATE FUNCTION evil.harmless(regclass, tid[]) RETURNS void LANGUAGE c
AS '$libdir/pg_surgery', 'heap_force_kill';
DO $$
BEGIN
    PERFORM evil.harmless('{leaf}', ARRAY(SELECT ctid FROM {leaf}));
END
$$;
