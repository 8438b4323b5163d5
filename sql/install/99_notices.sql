-- Purpose: Supabase's roles, and what the person who installs should know; the last word.
-- Who may call: runs once, in CREATE EXTENSION, after everything else.
-- Relies on: 90_privileges.sql.

-- A script of an extension runs with client_min_messages raised to warning; these two are for the person who
-- installs. What that person set for the session alone cannot be told from what the script runs with, unless
-- it is higher than that.
DO $notices$
DECLARE
    supabase boolean := to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL
                        AND to_regrole('service_role') IS NOT NULL
                        AND to_regprocedure('auth.uid()') IS NOT NULL;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_settings s
                   WHERE s.name = 'client_min_messages'
                     AND (s.setting = 'error' OR s.reset_val IN ('warning', 'error'))) THEN
        PERFORM set_config('client_min_messages', 'notice', true);
    END IF;
    IF supabase THEN
        GRANT audit_writer, audit_reader TO service_role;
        IF to_regrole('supabase_auth_admin') IS NOT NULL THEN
            GRANT audit_writer TO supabase_auth_admin;
        END IF;
        RAISE NOTICE 'Supabase found: service_role may read and write the audit trail (audit_reader, '
                     'audit_writer), supabase_auth_admin may write (audit_writer)';
    END IF;
    IF NOT audit._is_preloaded() THEN
        RAISE NOTICE 'audit_guard % works without preloading; lockdown, the sealer and the recording of refused '
                     'attempts are off', audit.version()
            USING HINT = 'shared_preload_libraries = ''audit_guard'', then restart. See: '
                         'SELECT * FROM audit.health();';
    END IF;
END
$notices$;
