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

-- A view as PostgREST reads it best: with columns of its own, and every column explained.
CREATE VIEW audit_api.changes WITH (security_invoker = true) AS SELECT c.* FROM audit.changes c;
ALTER VIEW audit_api.changes OWNER TO audit_owner;
DO $comments$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT CASE d.objsubid
                   WHEN 0 THEN format('COMMENT ON VIEW audit_api.changes IS %L', d.description)
                   ELSE format('COMMENT ON COLUMN audit_api.changes.%I IS %L', a.attname, d.description) END
        FROM pg_description d
        LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
        WHERE d.classoid = 'pg_class'::regclass AND d.objoid = 'audit.changes'::regclass
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
            JOIN pg_class o ON o.relnamespace = 'audit'::regnamespace AND o.relname = c.relname
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
