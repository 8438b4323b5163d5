-- Attack: another application_name, and every setting of the guard switched off in the session
-- As: plain role, superuser

SET application_name = 'pg_restore';
DO $$
DECLARE
    setting text;
BEGIN
    FOR setting IN SELECT name FROM pg_settings WHERE name LIKE 'audit_guard.%' LOOP
        BEGIN
            PERFORM set_config(setting, 'off', false);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END
$$;
UPDATE {target} SET {text} = 'forged';
DELETE FROM {target};
