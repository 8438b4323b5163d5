-- Purpose: the schema audit_api for PostgREST: one signature per name, keys as text.
-- Who may call: for each function and view, exactly the roles that may use the original.
-- Relies on: 90_privileges.sql, whose grants are copied here.

-- 00_schema.sql has made sure that a schema of this name is empty. A new one belongs to the extension, and
-- keeps neither rights nor default privileges that somebody prepared.
DROP SCHEMA IF EXISTS audit_api;
CREATE SCHEMA audit_api;
COMMENT ON SCHEMA audit_api IS
    'audit_guard for PostgREST: expose this schema, not audit; one signature per name, keys as text';

-- Offered is every function of schema audit, save those named here and those that no request can call:
-- internal ones, triggers, and signatures with a polymorphic argument (of twins, the one that takes text
-- remains). So a new function is not forgotten. Bodies are parsed now and hold what they call by its
-- identity: no search_path misleads them, and an original cannot be dropped while it is offered.
DO $functions$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.proname,
               format('audit_api.%I(%s)', p.proname,
                      pg_get_function_identity_arguments(p.oid)) AS name,
               pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
               CASE p.provolatile WHEN 'v' THEN 'VOLATILE' WHEN 's' THEN 'STABLE' ELSE 'IMMUTABLE' END
               || CASE p.proparallel WHEN 'u' THEN ' PARALLEL UNSAFE' WHEN 'r' THEN ' PARALLEL RESTRICTED'
                  ELSE ' PARALLEL SAFE' END AS properties,
               CASE WHEN p.proretset THEN 'BEGIN ATOMIC SELECT r.* FROM %s r; END'
                    ELSE 'RETURN %s' END AS body,
               format('audit.%I(%s)', p.proname,
                      (SELECT string_agg(format('%I => $%s', a.name, a.position), ', ' ORDER BY a.position)
                       FROM unnest(p.proargnames[:p.pronargs]) WITH ORDINALITY a(name, position))) AS call,
               obj_description(p.oid, 'pg_proc') AS purpose
        FROM pg_proc p
        WHERE p.pronamespace = 'audit'::regnamespace
          AND NOT starts_with(p.proname, '_')
          AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
          AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) a(type_id) JOIN pg_type t ON t.oid = a.type_id
                          WHERE t.typtype = 'p')
          AND p.proname NOT IN ('install_compat', 'remove_compat')
    LOOP
        EXECUTE format('CREATE FUNCTION audit_api.%I(%s) RETURNS %s LANGUAGE sql %s SECURITY INVOKER %s',
                       f.proname, f.arguments, f.result, f.properties, format(f.body, f.call));
        EXECUTE format('COMMENT ON FUNCTION %s IS %L', f.name, f.purpose);
        EXECUTE format('ALTER FUNCTION %s OWNER TO audit_owner', f.name);
    END LOOP;
END
$functions$;

-- Views as PostgREST reads them best: with columns of their own, and every column explained. Row security
-- hides other people's sessions anyway; the condition finds one's own by an index.
CREATE VIEW audit_api.changes WITH (security_invoker = true) AS SELECT c.* FROM audit.changes c;
ALTER VIEW audit_api.changes OWNER TO audit_owner;
CREATE VIEW audit_api.my_sessions WITH (security_invoker = true) AS
SELECT s.id,
       s.auth_session_id,
       s.device_type,
       s.device_model,
       s.browser,
       s.os,
       s.app_version,
       s.ip_address,
       s.country,
       s.region,
       s.city,
       s.created_at,
       s.last_active_at,
       e.ends_at,
       s.terminated_at IS NULL AND e.ends_at > statement_timestamp() AS is_active,
       s.terminated_at,
       s.termination_reason,
       s.is_suspicious,
       s.suspicious_reason
FROM audit.user_sessions s
CROSS JOIN LATERAL audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) e(ends_at)
WHERE s.subject = (SELECT audit._person());
ALTER VIEW audit_api.my_sessions OWNER TO audit_owner;
COMMENT ON VIEW audit_api.my_sessions IS 'the sessions of the person whose request it is, alive or not';
COMMENT ON COLUMN audit_api.my_sessions.ends_at IS 'when it ends, or ended, unless it is used before';
COMMENT ON COLUMN audit_api.my_sessions.is_active IS 'whether it is alive';
DO $comments$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('COMMENT ON %s audit_api.%I%s IS %L',
                      CASE d.objsubid WHEN 0 THEN 'VIEW' ELSE 'COLUMN' END, v.name,
                      coalesce('.' || quote_ident(a.attname), ''), d.description)
        FROM (VALUES ('changes', 'audit.changes'), ('my_sessions', 'audit.user_sessions')) v(name, original)
        JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = v.original::regclass
        LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
        LEFT JOIN pg_attribute o ON o.attrelid = format('audit_api.%I', v.name)::regclass
                                    AND o.attname = a.attname
        WHERE o.attname IS NOT NULL OR (d.objsubid = 0 AND v.name = 'changes')
    LOOP
        EXECUTE command;
    END LOOP;
END
$comments$;

-- Default privileges of whoever installs must not open anything: start from nothing, then copy.
DO $privileges$
DECLARE
    command text;
BEGIN
    FOR command IN
        WITH ours(kind, name, owner, acl, original) AS (
            SELECT 'SCHEMA', 'audit_api', n.nspowner, n.nspacl, NULL::aclitem[]
            FROM pg_namespace n WHERE n.nspname = 'audit_api'
            UNION ALL
            SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner,
                   coalesce(p.proacl, acldefault('f', p.proowner)),
                   coalesce(o.proacl, acldefault('f', o.proowner))
            FROM pg_proc p
            JOIN pg_proc o ON o.pronamespace = 'audit'::regnamespace AND o.proname = p.proname
                              AND o.proargtypes = p.proargtypes
            WHERE p.pronamespace = 'audit_api'::regnamespace
            UNION ALL
            SELECT 'TABLE', c.oid::regclass::text, c.relowner, c.relacl, o.relacl
            FROM pg_class c
            JOIN pg_class o ON o.relnamespace = 'audit'::regnamespace
                               AND o.relname = CASE c.relname WHEN 'my_sessions' THEN 'user_sessions'
                                                              ELSE c.relname END
            WHERE c.relnamespace = 'audit_api'::regnamespace
        )
        SELECT format(g.template, g.privileges, o.kind, o.name,
                      CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)
        FROM ours o
        CROSS JOIN LATERAL (
            SELECT 1 AS step, 'REVOKE %s ON %s %s FROM %s CASCADE' AS template, a.grantee, 'ALL' AS privileges
            FROM aclexplode(o.acl) a GROUP BY a.grantee
            UNION ALL
            SELECT 2, 'GRANT %s ON %s %s TO %s', a.grantee,
                   string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
            FROM aclexplode(o.original) a GROUP BY a.grantee) g
        WHERE g.grantee <> o.owner
        ORDER BY o.kind, o.name, g.step
    LOOP
        EXECUTE command;
    END LOOP;
    GRANT USAGE ON SCHEMA audit_api TO PUBLIC;
END
$privileges$;
