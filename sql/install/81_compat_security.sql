-- Purpose: sessions and security events under the names, columns and arguments that earlier code uses.
-- Who may call: internal, from install_compat; what it makes is for audit_writer, audit_reader and
-- service_role.
-- Relies on: 77_security_log.sql, 78_sessions.sql, 79_login_check.sql, 80_compat.sql.

-- Attached by install_compat only, and nobody else may: so the right to insert into its view is what decides.
CREATE FUNCTION audit._insert_compat_event() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF NEW.id IS NOT NULL OR NEW.logged_at IS NOT NULL THEN
        RAISE EXCEPTION 'id and logged_at of a security event are given by the server'
            USING ERRCODE = 'check_violation',
                  HINT = 'Leave them out, and read them with RETURNING id, logged_at.';
    END IF;
    NEW.id := audit.log_security_event(
        event_type => NEW.event_type, description => NEW.description, user_id => NEW.user_id,
        session_id => NEW.session_id, metadata => NEW.metadata, severity => coalesce(NEW.severity, 'info'),
        tenant_id => NEW.community_id::text, entity_type => NEW.entity_type, entity_id => NEW.entity_id::text,
        ip_address => NEW.ip_address, user_agent => NEW.user_agent);
    SELECT e.logged_at, e.description, e.user_id, e.session_id, e.metadata, e.severity,
           audit._as_uuid(e.tenant_id), e.ip_address, e.user_agent
    INTO NEW.logged_at, NEW.description, NEW.user_id, NEW.session_id, NEW.metadata, NEW.severity,
         NEW.community_id, NEW.ip_address, NEW.user_agent
    FROM audit.security_events e
    WHERE e.transaction_id = pg_current_xact_id()::text::bigint AND e.id = NEW.id;
    RETURN NEW;
END
$body$;
COMMENT ON FUNCTION audit._insert_compat_event() IS
    'internal, trigger of a view that install_compat makes: logs the security event that is inserted';

CREATE FUNCTION audit._refuse_compat_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF TG_TABLE_NAME = 'security_events' THEN
        RAISE EXCEPTION '%.% is append-only: % refused', quote_ident(TG_TABLE_SCHEMA),
            quote_ident(TG_TABLE_NAME), TG_OP
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Expired rows leave by retention only: SELECT * FROM audit.retention_plan();';
    END IF;
    RAISE EXCEPTION '% on %.% is refused: sessions are changed by functions', TG_OP,
        quote_ident(TG_TABLE_SCHEMA), quote_ident(TG_TABLE_NAME)
        USING ERRCODE = 'feature_not_supported',
              HINT = format('SELECT %I.%s;', TG_TABLE_SCHEMA,
                            CASE TG_OP WHEN 'INSERT' THEN 'create_user_session(p_user_id, p_ip_address)'
                                       WHEN 'UPDATE' THEN 'update_session_activity(p_session_id)'
                                       ELSE 'terminate_session(p_session_id, ''logout'')' END);
END
$body$;
COMMENT ON FUNCTION audit._refuse_compat_write() IS
    'internal, trigger of the views that install_compat makes: refuses what would write past the functions';

-- What the part consists of, in the order in which it is made. ours: by what it is built on, and by its
-- comment. Where a name is taken by somebody else, found is that.
CREATE FUNCTION audit._security_shims(target_schema name)
RETURNS TABLE (place integer, kind text, shim text, command text, comment text, class oid, found oid,
               is_ours boolean)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH target AS (
        SELECT to_regnamespace(quote_ident(target_schema))::oid AS id
    ), uuid_of(expression) AS (VALUES (
        'CASE WHEN %1$s ~* ''^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'' '
        'THEN %1$s::uuid END')
    ), views(place, name, built_on, columns) AS (
        SELECT 2, 'user_sessions'::name, to_regclass('audit.user_sessions'),
               's.id, s.user_id, s.auth_session_id, s.device_fingerprint, s.device_id, s.device_type, '
               's.device_model, s.browser, s.browser_version, s.os, s.os_version, s.screen_resolution, '
               's.ip_address, s.country, s.region, s.city, s.latitude, s.longitude, s.created_at, '
               's.last_active_at, s.expires_at, s.terminated_at, s.termination_reason, s.is_suspicious, '
               's.suspicious_reason, s.app_version'
        UNION ALL
        SELECT 3, 'security_events', to_regclass('audit.security_events'),
               's.id, ' || format(u.expression, 's.tenant_id') || ' AS community_id, s.event_type, s.user_id, '
               's.session_id, s.description, s.metadata, s.ip_address, s.user_agent, s.entity_type, '
               || format(u.expression, 's.entity_id') || ' AS entity_id, s.severity, s.logged_at'
        FROM uuid_of u
    ), functions(place, name, arguments, result, call) AS (VALUES
        (4, 'create_user_session'::name, 'p_user_id uuid, p_ip_address inet, p_device_info jsonb DEFAULT ''{}''',
         'uuid VOLATILE',
         'RETURN audit.create_user_session(user_id => p_user_id, ip_address => p_ip_address, '
         'device_info => p_device_info);'),
        (5, 'update_session_activity', 'p_session_id uuid', 'void VOLATILE',
         'PERFORM audit.update_session_activity(session_id => p_session_id);'),
        (6, 'terminate_session', 'p_session_id uuid, p_reason text', 'void VOLATILE',
         'PERFORM audit.terminate_session(session_id => p_session_id, reason => p_reason);'),
        (7, 'log_security_event',
         'p_event_type %I.security_event_type, p_description text, p_user_id uuid DEFAULT NULL, '
         'p_session_id uuid DEFAULT NULL, p_metadata jsonb DEFAULT ''{}'', p_severity text DEFAULT ''info'', '
         'p_community_id uuid DEFAULT NULL, p_entity_type text DEFAULT NULL, p_entity_id uuid DEFAULT NULL',
         'uuid VOLATILE',
         'RETURN audit.log_security_event(event_type => p_event_type, description => p_description, '
         'user_id => p_user_id, session_id => p_session_id, metadata => p_metadata, severity => p_severity, '
         'tenant_id => p_community_id::text, entity_type => p_entity_type, entity_id => p_entity_id::text);'),
        (8, 'should_block_login',
         'p_email text, p_ip_address inet, p_max_attempts integer DEFAULT 5, '
         'p_window_minutes integer DEFAULT 15',
         'boolean STABLE',
         'RETURN audit.should_block_login(email => p_email, ip_address => p_ip_address, '
         'max_attempts => p_max_attempts, window_minutes => p_window_minutes);')
    )
    SELECT 1, 'DOMAIN', format('%I.security_event_type', target_schema),
           format('CREATE DOMAIN %I.security_event_type AS audit.security_event_type', target_schema),
           'audit_guard: audit.security_event_type under this name; made by install_compat',
           'pg_type'::regclass::oid, t.oid,
           t.typtype = 'd' AND t.typbasetype = 'audit.security_event_type'::regtype
           AND coalesce(starts_with(obj_description(t.oid, 'pg_type'), 'audit_guard:'), false)
    FROM target g
    LEFT JOIN pg_type t ON t.typnamespace = g.id AND t.typname = 'security_event_type'
    UNION ALL
    SELECT v.place, 'VIEW', format('%I.%I', target_schema, v.name),
           format('CREATE OR REPLACE VIEW %I.%I WITH (security_invoker = true) AS SELECT %s FROM %s s',
                  target_schema, v.name, v.columns, v.built_on),
           format('audit_guard: %s with the columns of earlier code; made by install_compat', v.built_on),
           CASE WHEN c.oid IS NULL THEN 'pg_type' ELSE 'pg_class' END::regclass, coalesce(c.oid, t.oid),
           c.oid IS NOT NULL
           AND coalesce(starts_with(obj_description(c.oid, 'pg_class'), 'audit_guard:'), false)
           AND EXISTS (SELECT FROM pg_rewrite r
                       JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                       WHERE r.ev_class = c.oid AND d.refclassid = 'pg_class'::regclass
                         AND d.refobjid = v.built_on)
    FROM views v
    CROSS JOIN target g
    LEFT JOIN pg_class c ON c.relnamespace = g.id AND c.relname = v.name
    LEFT JOIN pg_type t ON t.typnamespace = g.id AND t.typname = v.name AND c.oid IS NULL
    UNION ALL
    SELECT f.place, 'FUNCTION', format('%I.%I', target_schema, f.name),
           format(E'CREATE OR REPLACE FUNCTION %I.%I(%s)\nRETURNS %s LANGUAGE plpgsql SECURITY INVOKER '
                  'SET search_path = '''' AS %L', target_schema, f.name, format(f.arguments, target_schema),
                  f.result, format(E'\nBEGIN\n    %s\nEND\n', f.call)),
           format('audit_guard: audit.%I() with the arguments of earlier code; made by install_compat', f.name),
           'pg_proc'::regclass, p.oid, p.is_ours
    FROM functions f
    CROSS JOIN target g
    LEFT JOIN LATERAL (
        SELECT o.oid,
               position(format('audit.%I(', f.name) IN o.prosrc) > 0
               AND coalesce(starts_with(obj_description(o.oid, 'pg_proc'), 'audit_guard:'), false) AS is_ours
        FROM pg_proc o WHERE o.pronamespace = g.id AND o.proname = f.name
        ORDER BY 2 LIMIT 1) p ON true
    ORDER BY 1
$body$;
COMMENT ON FUNCTION audit._security_shims(name) IS
    'internal: what part security of install_compat makes in a schema, and what has its names there';

-- Default privileges may open new functions and views to everybody who can reach the API.
CREATE FUNCTION audit._grant_shim(kind text, shim text, privileges text, roles text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
        FROM (SELECT p.proowner AS owner, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
              FROM pg_proc p WHERE kind = 'FUNCTION' AND p.oid = to_regprocedure(shim)
              UNION ALL
              SELECT c.relowner, c.relacl FROM pg_class c WHERE kind = 'TABLE' AND c.oid = to_regclass(shim)) o
        CROSS JOIN LATERAL aclexplode(o.acl) a
        WHERE a.grantee <> o.owner
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', kind, shim, grantee);
    END LOOP;
    FOR grantee IN SELECT r.rolname FROM pg_roles r WHERE r.rolname = ANY (roles) LOOP
        EXECUTE format('GRANT %s ON %s %s TO %I', privileges, kind, shim, grantee);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._grant_shim(text, text, text, text[]) IS
    'internal: takes all rights on what install_compat made from everybody, and gives some to those roles that '
    'there are';

CREATE FUNCTION audit._make_security_shims(target_schema name, replace boolean) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    known record;
BEGIN
    FOR known IN SELECT s.* FROM audit._security_shims(target_schema) s LOOP
        IF known.found IS NULL OR replace AND known.kind <> 'DOMAIN' THEN
            EXECUTE known.command;
            EXECUTE format('COMMENT ON %s %s IS %L', known.kind, known.shim, known.comment);
            IF known.kind = 'VIEW' THEN
                EXECUTE format(
                    'CREATE OR REPLACE TRIGGER audit_guard_insert INSTEAD OF INSERT ON %1$s FOR EACH ROW '
                    'EXECUTE FUNCTION audit.%2$I(); '
                    'CREATE OR REPLACE TRIGGER audit_guard_refuse INSTEAD OF UPDATE OR DELETE ON %1$s '
                    'FOR EACH ROW EXECUTE FUNCTION audit._refuse_compat_write()', known.shim,
                    CASE WHEN known.place = 3 THEN '_insert_compat_event' ELSE '_refuse_compat_write' END);
                PERFORM audit._grant_shim('TABLE', known.shim, 'SELECT',
                                          '{audit_reader,authenticated,service_role}');
                EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO audit_writer', known.shim);
                IF to_regrole('service_role') IS NOT NULL THEN
                    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO service_role', known.shim);
                END IF;
            ELSIF known.kind = 'FUNCTION' THEN
                PERFORM audit._grant_shim('FUNCTION', p.oid::regprocedure::text, 'EXECUTE',
                                          '{audit_writer,service_role}')
                FROM pg_proc p
                WHERE p.pronamespace = to_regnamespace(quote_ident(target_schema))
                  AND format('%I.%I', target_schema, p.proname) = known.shim;
            END IF;
        END IF;
        RETURN NEXT known.shim || CASE WHEN known.kind = 'FUNCTION' THEN '()' ELSE '' END;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._make_security_shims(name, boolean) IS
    'internal: makes or renews part security of install_compat, after it was found that its names are free';

CREATE FUNCTION audit._drop_security_shims(target_schema name) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT s.* FROM audit._security_shims(target_schema) s WHERE s.is_ours ORDER BY s.place DESC
    LOOP
        EXECUTE format('DROP %s %s', known.kind,
                       CASE WHEN known.kind = 'FUNCTION' THEN known.found::regprocedure::text
                            ELSE known.shim END);
        RETURN NEXT known.shim || CASE WHEN known.kind = 'FUNCTION' THEN '()' ELSE '' END;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._drop_security_shims(name) IS
    'internal: drops what part security of install_compat made in a schema';
