-- The extension, roles that stand for people, and helpers. Every other test needs this one first.
-- Whether a notice follows depends on preloading, which is not what is compared here.
SELECT current_database() AS here \gset
ALTER DATABASE :here SET client_min_messages = warning;
\c
CREATE EXTENSION audit_guard;
ALTER DATABASE :here RESET client_min_messages;
-- regress_app may write some tables and holds no role of ours. regress_owner owns tables and is an admin,
-- regress_admin is an admin who owns nothing, regress_reader reads the log.
DO $$
DECLARE
    person text;
BEGIN
    FOREACH person IN ARRAY ARRAY['regress_app', 'regress_owner', 'regress_admin', 'regress_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = person) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', person);
        END IF;
    END LOOP;
END $$;
GRANT audit_admin TO regress_owner, regress_admin;
GRANT audit_reader TO regress_reader;
CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO PUBLIC;
-- Runs a statement as the caller and shows what came of it. Month leaves and edge leaves are printed by kind.
CREATE FUNCTION t.try(statement text, OUT code text, OUT message text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := '00000';
    message := 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    message := regexp_replace(message, 'audit_log_\d{4}_\d{2}', 'audit_log_YYYY_MM', 'g');
    hint := nullif(regexp_replace(hint, 'audit_log_\d{4}_\d{2}', 'audit_log_YYYY_MM', 'g'), '');
END $$;
-- The rows of the log that this session has not been shown yet, in the order of the changes.
-- The mark lives in a setting of the session, so a rolled-back transaction takes it back as well.
CREATE FUNCTION t.news(of_table text DEFAULT NULL) RETURNS SETOF audit.audit_log
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mark bigint := coalesce(nullif(current_setting('t.mark', true), ''), '0')::bigint;
BEGIN
    RETURN QUERY SELECT * FROM audit.audit_log l
        WHERE l.id > mark AND (of_table IS NULL OR l.table_name = of_table) ORDER BY l.logged_at, l.id;
    PERFORM set_config('t.mark', coalesce((SELECT max(l.id) FROM audit.audit_log l), mark)::text, false);
END $$;
-- Everything logged so far counts as shown.
CREATE FUNCTION t.mark() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT set_config('t.mark', coalesce((SELECT max(id) FROM audit.audit_log), 0)::text, false)
$$;
-- What is logged about the person behind a change, and what would be logged now. login_identity is there only
-- where the server knows one, so it is left out of what is compared.
CREATE FUNCTION t.who()
RETURNS TABLE (record_id text, actor_id text, actor_source text, tenant_id text, session_id uuid,
    client_ip inet,
    phi_accessed boolean, context jsonb) LANGUAGE sql AS $$
    SELECT record_id, actor_id, actor_source, tenant_id, session_id, client_ip, phi_accessed,
           nullif(context - 'login_identity', '{}') FROM t.news()
$$;
CREATE FUNCTION t.who_now()
RETURNS TABLE (actor_id text, actor_source text, tenant_id text, session_id uuid, client_ip inet,
    phi_accessed boolean, context jsonb) LANGUAGE sql AS $$
    SELECT actor_id, actor_source, tenant_id, session_id, client_ip, phi_accessed,
           nullif(context - 'login_identity', '{}') FROM audit.current_context()
$$;
-- The roles of a change; the one that runs the tests has a name that is not known beforehand.
CREATE FUNCTION t.roles()
RETURNS TABLE (record_id text, login_is_me boolean, other_actor text, context jsonb) LANGUAGE sql AS $$
    SELECT record_id, login_role = session_user, nullif(actor_role, session_user::text),
           nullif(context - 'login_identity', '{}') FROM t.news()
$$;
-- The leaf that is being written at this moment.
CREATE FUNCTION t.hot_leaf() RETURNS text LANGUAGE sql AS $$
    SELECT 'audit.audit_log_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY_MM')
$$;
SELECT * FROM t.try('SELECT 1');
SELECT * FROM t.try('SELECT 1/0');
