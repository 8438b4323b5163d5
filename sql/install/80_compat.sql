-- Purpose: names and shapes that code written for the earlier audit functions expects.
-- Who may call: superusers; audit_reader reads the view.
-- Relies on: 20_audit_log.sql, 30_guard.sql; 81_compat_security.sql when it is called.

-- The log as the earlier audit.audit_log showed it. Where we hold text and it held a uuid, text that is none
-- shows as null. id is a uuid of version 7 made of logged_at (its first 48 bits, in milliseconds) and our id
-- (its last 62 bits): the same in every query and after a restore, and in the order of time.
CREATE VIEW audit.audit_log_compat WITH (security_invoker = true) AS
SELECT (lpad(to_hex(floor(extract(epoch FROM l.logged_at) * 1000)::bigint & ((1::bigint << 48) - 1)), 12, '0')
        || '7000' || to_hex(l.id | (1::bigint << 63)))::uuid AS id,
       l.table_schema,
       l.table_name,
       c.oid AS table_oid,
       CASE WHEN l.record_id ~* u.pattern THEN l.record_id
            WHEN coalesce(l.new_record, l.old_record) ->> 'id' ~* u.pattern
            THEN coalesce(l.new_record, l.old_record) ->> 'id' END::uuid AS record_id,
       (SELECT jsonb_object_agg(a.attname, coalesce(l.new_record, l.old_record) -> a.attname)
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = c.oid AND i.indisprimary
        HAVING bool_and(coalesce(l.new_record, l.old_record) ? a.attname)) AS record_pk,
       l.operation,
       l.old_record,
       l.new_record,
       l.changed_fields,
       CASE WHEN l.actor_id ~* u.pattern THEN l.actor_id END::uuid AS actor_id,
       l.actor_role,
       l.client_ip AS actor_ip,
       l.context ->> 'user_agent' AS actor_user_agent,
       CASE WHEN l.tenant_id ~* u.pattern THEN l.tenant_id END::uuid AS community_id,
       l.logged_at,
       l.transaction_id
FROM audit.audit_log l
CROSS JOIN (VALUES ('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')) u(pattern)
LEFT JOIN pg_namespace n ON n.nspname = l.table_schema
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = l.table_name;

COMMENT ON VIEW audit.audit_log_compat IS
    'audit_log with the columns and types of the earlier audit.audit_log, for queries written for that one';
COMMENT ON COLUMN audit.audit_log_compat.id IS
    'a uuid (version 7) made of logged_at and the number of the entry: always the same for the same entry';
COMMENT ON COLUMN audit.audit_log_compat.table_schema IS 'schema of the table at the time of the change';
COMMENT ON COLUMN audit.audit_log_compat.table_name IS 'name of the table at the time of the change';
COMMENT ON COLUMN audit.audit_log_compat.table_oid IS
    'OID of the table that has this name today; null when there is none';
COMMENT ON COLUMN audit.audit_log_compat.record_id IS
    'key of the row when it is a uuid, else its column id when that is one, else null';
COMMENT ON COLUMN audit.audit_log_compat.record_pk IS
    'the columns of today''s primary key as they were; null when the entry does not hold all of them';
COMMENT ON COLUMN audit.audit_log_compat.operation IS 'INSERT, UPDATE, DELETE or TRUNCATE';
COMMENT ON COLUMN audit.audit_log_compat.old_record IS 'the row before the change';
COMMENT ON COLUMN audit.audit_log_compat.new_record IS 'the row after the change';
COMMENT ON COLUMN audit.audit_log_compat.changed_fields IS 'columns that an UPDATE changed; null otherwise';
COMMENT ON COLUMN audit.audit_log_compat.actor_id IS 'the acting person when the id is a uuid, else null';
COMMENT ON COLUMN audit.audit_log_compat.actor_role IS
    'the role in force; a definer function does not hide it';
COMMENT ON COLUMN audit.audit_log_compat.actor_ip IS 'the address of the person, else of the connection';
COMMENT ON COLUMN audit.audit_log_compat.actor_user_agent IS 'the program that sent the request';
COMMENT ON COLUMN audit.audit_log_compat.community_id IS 'the tenant when its id is a uuid, else null';
COMMENT ON COLUMN audit.audit_log_compat.logged_at IS
    'clock time at which the change happened (earlier: start of its transaction)';
COMMENT ON COLUMN audit.audit_log_compat.transaction_id IS 'the transaction that made the change';

CREATE FUNCTION audit._check_compat(target_schema name, caller text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION '% is for superusers: the functions it is about are written in C', caller
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As a superuser: SELECT * FROM audit.%I(%L);', caller, target_schema);
    ELSIF target_schema IS NULL THEN
        RAISE EXCEPTION 'target_schema must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('SELECT * FROM audit.%I(''public'');', caller);
    ELSIF target_schema IN ('audit', 'audit_api', 'information_schema')
          OR starts_with(target_schema, 'pg_') THEN
        RAISE EXCEPTION 'schema % is not for the names of the application', quote_ident(target_schema)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT * FROM audit.%I(''public'');', caller);
    ELSIF to_regnamespace(quote_ident(target_schema)) IS NULL THEN
        RAISE EXCEPTION 'schema % does not exist', quote_ident(target_schema)
            USING ERRCODE = 'invalid_schema_name',
                  HINT = format('CREATE SCHEMA %I;', target_schema);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_compat(name, text) IS
    'internal: refuses whom and what install_compat and remove_compat are not for';

-- A shim is ours by what it calls and by its comment; anything else of its name is somebody else's. It is no
-- member of the extension: it travels in dumps as the application's own, and goes on protecting its tables
-- when the extension is dropped.
CREATE FUNCTION audit._shims(target_schema name)
RETURNS TABLE (
    part text, shim name, library text, symbol text, found regprocedure, is_ours boolean, is_current boolean)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT v.part, v.shim, o.probin, o.prosrc, p.oid::regprocedure,
           p.prolang = o.prolang AND p.prosrc = o.prosrc
           AND coalesce(starts_with(obj_description(p.oid, 'pg_proc'), 'audit_guard:'), false),
           p.probin = o.probin
    FROM (VALUES ('guard', 'prevent_audit_log_tampering'::name,
                  'audit.prevent_modification()'::regprocedure)) v(part, shim, original)
    JOIN pg_proc o ON o.oid = v.original
    LEFT JOIN pg_proc p ON p.pronamespace = to_regnamespace(quote_ident(target_schema))
                           AND p.proname = v.shim AND p.pronargs = 0
$body$;
COMMENT ON FUNCTION audit._shims(name) IS
    'internal: the functions that install_compat makes, and what has their names in a schema';

CREATE FUNCTION audit._make_shim(target_schema name, shim name, library text, symbol text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    made constant text := format('%I.%I()', target_schema, shim);
    grantee text;
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE c VOLATILE AS %L, %L',
                   made, library, symbol);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', made,
                   'audit_guard: audit.prevent_modification() under this name; made by install_compat');
    -- Default privileges may open new functions to everybody who can reach the API.
    FOR grantee IN
        SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
        FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.oid = made::regprocedure AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s CASCADE', made, grantee);
    END LOOP;
    -- Those who may attach it: the owner of the schema runs its migrations.
    FOR grantee IN
        SELECT n.nspowner::regrole::text FROM pg_namespace n WHERE n.nspname = target_schema
        UNION
        SELECT r.oid::regrole::text FROM pg_roles r WHERE r.rolname = 'service_role'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', made, grantee);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._make_shim(name, name, text, text) IS
    'internal: makes or renews one function of install_compat, with its comment and its grants';

CREATE FUNCTION audit.install_compat(
    target_schema name DEFAULT 'public', parts text[] DEFAULT '{security,guard,capture}',
    replace boolean DEFAULT false)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    wrong text;
    known record;
BEGIN
    PERFORM audit._check_compat(target_schema, 'install_compat');
    IF parts IS NULL OR array_position(parts, NULL) IS NOT NULL OR replace IS NULL THEN
        RAISE EXCEPTION 'parts and replace must not be null or contain null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('SELECT * FROM audit.install_compat(%L);', target_schema);
    END IF;
    SELECT p.name INTO wrong
    FROM unnest(parts) p(name) WHERE p.name NOT IN ('security', 'guard', 'capture') LIMIT 1;
    IF wrong IN ('crisis', 'compliance') THEN
        RAISE EXCEPTION 'part % comes with a later version', wrong
            USING ERRCODE = 'feature_not_supported',
                  HINT = format('SELECT * FROM audit.install_compat(%L, ''{security,guard,capture}'');',
                                target_schema);
    ELSIF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'there is no part "%"', wrong
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT * FROM audit.install_compat(%L, ''{security,guard,capture}'');',
                                target_schema);
    END IF;

    -- Two sessions would make the same name at the same time.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_guard install_compat', 0));
    IF 'security' = ANY (parts) THEN
        SELECT i.type, i.identity,
               format('ALTER %s %s RENAME TO %I;', upper(replace(i.type, 'composite type', 'type')), i.identity,
                      split_part(s.shim, '.', -1) || '_old') AS remedy
        INTO known
        FROM audit._security_shims(target_schema) s
        CROSS JOIN LATERAL pg_identify_object(s.class, s.found, 0) i
        WHERE s.found IS NOT NULL AND NOT s.is_ours
        ORDER BY s.place LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION '% % exists and was not made by audit_guard', known.type, known.identity
                USING ERRCODE = 'duplicate_object', HINT = known.remedy;
        END IF;
    END IF;
    IF 'capture' = ANY (parts) THEN
        RETURN NEXT 'audit.audit_log_compat';
    END IF;
    FOR known IN
        SELECT s.* FROM audit._shims(target_schema) s WHERE s.part = ANY (parts) ORDER BY s.shim
    LOOP
        IF known.found IS NOT NULL AND NOT known.is_ours THEN
            RAISE EXCEPTION '% exists and was not made by audit_guard', known.found
                USING ERRCODE = 'duplicate_object',
                      HINT = format('Its triggers keep it under another name: ALTER ROUTINE %s RENAME TO %I;',
                                    known.found, left(known.shim, 59) || '_old');
        ELSIF known.found IS NULL OR replace THEN
            PERFORM audit._make_shim(target_schema, known.shim, known.library, known.symbol);
        ELSIF NOT known.is_current THEN
            RAISE NOTICE '% calls another library than audit.prevent_modification()', known.found
                USING HINT = format('SELECT * FROM audit.install_compat(%L, %L, replace => true);',
                                    target_schema, parts);
        END IF;
        RETURN NEXT format('%I.%I()', target_schema, known.shim);
    END LOOP;
    IF 'security' = ANY (parts) THEN
        RETURN QUERY SELECT m.* FROM audit._make_security_shims(target_schema, replace) m;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit.install_compat(name, text[], boolean) IS
    'makes the names that code written for the earlier functions uses, and returns what is there now: part '
    'security are the views user_sessions and security_events with their functions and type in that schema, '
    'part guard is prevent_audit_log_tampering() in that schema; part capture is the view audit.audit_log_compat, '
    'which is always there; replace renews what an earlier call made; for superusers';

CREATE FUNCTION audit.remove_compat(target_schema name DEFAULT 'public') RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    known record;
    users text;
    remedy text;
BEGIN
    PERFORM audit._check_compat(target_schema, 'remove_compat');
    RETURN QUERY SELECT d.* FROM audit._drop_security_shims(target_schema) d;
    FOR known IN SELECT s.* FROM audit._shims(target_schema) s WHERE s.is_ours ORDER BY s.shim LOOP
        SELECT string_agg(format('trigger %I of %s', t.tgname, t.tgrelid::regclass), ', '
                          ORDER BY t.tgrelid::regclass::text, t.tgname),
               string_agg(format('DROP TRIGGER %I ON %s;', t.tgname, t.tgrelid::regclass), ' '
                          ORDER BY t.tgrelid::regclass::text, t.tgname)
        INTO users, remedy
        FROM pg_trigger t WHERE t.tgfoid = known.found AND t.tgparentid = 0;
        IF users IS NOT NULL THEN
            RAISE EXCEPTION '% is in use: %', known.found, users
                USING ERRCODE = 'dependent_objects_still_exist', HINT = remedy;
        END IF;
        EXECUTE format('DROP FUNCTION %s', known.found);
        RETURN NEXT format('%I.%I()', target_schema, known.shim);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit.remove_compat(name) IS
    'drops what install_compat made in a schema, and returns the names; refuses while a trigger uses one; '
    'for superusers';
