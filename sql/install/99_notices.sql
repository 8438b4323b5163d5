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
    command text;
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
        -- Where a role does not inherit, a membership gives it nothing before SET ROLE, which the auth server
        -- does not do.
        FOR command IN
            SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, r.rolname)
            FROM pg_roles r
            CROSS JOIN pg_proc p
            WHERE r.rolname IN ('service_role', 'supabase_auth_admin') AND NOT r.rolinherit
              AND p.pronamespace IN ('audit'::regnamespace, 'audit_api'::regnamespace)
              AND has_function_privilege('audit_writer', p.oid, 'EXECUTE')
              AND NOT has_function_privilege(r.oid, p.oid, 'EXECUTE')
        LOOP
            EXECUTE command;
        END LOOP;
        GRANT SELECT ON audit.user_sessions, audit.security_events, audit_api.my_sessions TO authenticated;
        RAISE NOTICE 'Supabase found: service_role may read and write the audit trail (audit_reader, '
                     'audit_writer), supabase_auth_admin may write (audit_writer), authenticated sees '
                     'sessions and security events as far as audit.has_role() allows';
    END IF;
    IF NOT audit._is_preloaded() THEN
        RAISE NOTICE 'audit_guard % works without preloading; lockdown, the sealer and the recording of refused '
                     'attempts are off', audit.version()
            USING HINT = 'shared_preload_libraries = ''audit_guard'', then restart. See: '
                         'SELECT * FROM audit.health();';
    END IF;
END
$notices$;
