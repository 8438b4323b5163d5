-- Attack: an exception block that swallows the refusal
-- As: plain role, superuser

DO $$
BEGIN
    DELETE FROM {target};
EXCEPTION WHEN OTHERS THEN
    PERFORM set_config('evil.swallowed', SQLSTATE, false);
END
$$;
\swallowed
