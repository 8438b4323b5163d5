-- Sessions and security events under the earlier names, as code written for those calls them.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
SET client_min_messages = warning;
GRANT USAGE ON SCHEMA t TO PUBLIC;
CREATE ROLE regress_service;
GRANT audit_writer, audit_reader TO regress_service;
CREATE SCHEMA legacy;
GRANT USAGE ON SCHEMA legacy TO PUBLIC;
-- Default privileges open nothing.
ALTER DEFAULT PRIVILEGES IN SCHEMA legacy GRANT ALL ON TABLES TO regress_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA legacy GRANT ALL ON FUNCTIONS TO regress_app;
SELECT * FROM audit.install_compat('legacy', '{security}');
SELECT count(*) FROM audit.install_compat('legacy', '{security}');
SELECT count(*) FROM audit.install_compat('legacy', '{security}', replace => true);
-- the earlier columns, in their order, and the earlier arguments
SELECT c.relname, string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
                             ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'legacy'::regnamespace GROUP BY 1 ORDER BY 1;
SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
       p.prosecdef, p.proconfig, obj_description(p.oid, 'pg_proc') AS comment
    FROM pg_proc p WHERE p.pronamespace = 'legacy'::regnamespace ORDER BY 1;
SELECT format_type(t.typbasetype, NULL) AS domain_of FROM pg_type t
    WHERE t.oid = 'legacy.security_event_type'::regtype;
SELECT c.relname, c.reloptions, (SELECT string_agg(a.grantee::regrole || ' ' || a.privilege_type, ', '
           ORDER BY a.grantee::regrole::text, a.privilege_type)
        FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner) AS granted
    FROM pg_class c WHERE c.relnamespace = 'legacy'::regnamespace ORDER BY 1;
SELECT DISTINCT (SELECT string_agg(a.grantee::regrole::text, ',' ORDER BY a.grantee::regrole::text)
        FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner) AS may_call
    FROM pg_proc p WHERE p.pronamespace = 'legacy'::regnamespace;
SELECT count(*) AS members FROM pg_depend d WHERE d.deptype = 'e'
    AND (d.objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'legacy'::regnamespace)
         OR d.objid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'legacy'::regnamespace));
-- A service that logs people in, word for word.
SET ROLE regress_service;
SET search_path = legacy;
SELECT create_user_session('11111111-1111-4111-8111-111111111111', '203.0.113.9') AS first \gset
SELECT create_user_session(
    p_user_id := '11111111-1111-4111-8111-111111111111'::uuid,
    p_ip_address := '203.0.113.10'::inet,
    p_device_info := jsonb_build_object('device_type', 'mobile', 'device_model', 'Pixel 8', 'browser', 'Chrome',
        'browser_version', '120', 'os', 'Android', 'os_version', '14', 'screen_resolution', '1080x2400',
        'device_fingerprint', 'fp-1', 'device_id', 'dev-1', 'app_version', '2.3.1')) AS second \gset
SELECT device_type, device_model, browser, browser_version, os, os_version, screen_resolution, device_fingerprint,
       device_id, app_version, host(ip_address) AS ip, terminated_at, termination_reason, is_suspicious
    FROM user_sessions WHERE user_id = '11111111-1111-4111-8111-111111111111' ORDER BY created_at;
SELECT event_type, description, metadata ->> 'device_id' AS device, severity, host(ip_address) AS ip
    FROM security_events WHERE session_id IN (:'first', :'second') ORDER BY logged_at;
SELECT update_session_activity(:'second');
SELECT update_session_activity(p_session_id => '99999999-9999-4999-8999-999999999999');
SELECT terminate_session(:'first', 'logout');
SELECT terminate_session(p_session_id := :'first', p_reason := 'logout');
:try ($$SELECT terminate_session('99999999-9999-4999-8999-999999999999', 'logout')$$) f;
:try (format('SELECT terminate_session(%L, %L)', :'second', 'bored')) f;
SELECT count(*) AS ended_once FROM security_events
    WHERE session_id = :'first' AND event_type = 'session_terminated';
SELECT termination_reason, terminated_at IS NOT NULL AS ended FROM user_sessions WHERE id = :'first';
-- five failures, and the sixth try is refused; the email stands in metadata, and nothing else is given
SELECT should_block_login('Ada@Legacy.example', '198.51.100.1');
SELECT log_security_event('login_failed', 'Invalid password', NULL, NULL,
           jsonb_build_object('email', 'ada@legacy.example')) IS NOT NULL AS logged FROM generate_series(1, 4);
SELECT should_block_login('ada@legacy.example', '198.51.100.1');
SELECT log_security_event('login_failed'::legacy.security_event_type, 'Invalid password',
           p_metadata => '{"email": "ada@legacy.example"}', p_severity => 'warning') IS NOT NULL AS logged;
SELECT should_block_login('ada@legacy.example', '198.51.100.1');
SELECT should_block_login(p_email := 'ada@legacy.example', p_ip_address := '198.51.100.1', p_max_attempts := 6,
           p_window_minutes := 30);
:try ($$SELECT should_block_login('ada@legacy.example', '198.51.100.1', 0)$$) f;
SELECT severity, count(*) FROM security_events WHERE metadata ->> 'email' = 'ada@legacy.example'
    GROUP BY 1 ORDER BY 1;
-- all nine arguments, by position
SELECT log_security_event('data_export', 'CSV of units', '11111111-1111-4111-8111-111111111111', :'second',
    '{"rows": 12}', 'info', '22222222-2222-4222-8222-222222222222', 'unit', '33333333-3333-4333-8333-333333333333')
    AS exported \gset
SELECT community_id, event_type, user_id, session_id = :'second' AS session, description, metadata, entity_type,
       entity_id, severity FROM security_events WHERE id = :'exported';
-- the address comes from the list that the proxy sends
BEGIN;
SET LOCAL request.headers = '{"x-forwarded-for": "192.0.2.66, 198.51.100.7", "user-agent": "app/1"}';
SELECT log_security_event('blacklist_hit', 'listed plate', p_severity => 'critical') AS hit \gset
SELECT host(ip_address) AS ip, user_agent FROM security_events WHERE id = :'hit';
ROLLBACK;
-- rows that code wrote by itself
INSERT INTO security_events (user_id, session_id, event_type, description, ip_address, metadata)
    VALUES ('11111111-1111-4111-8111-111111111111', :'second', 'mfa_enabled', 'TOTP', '192.0.2.5', '{"a": 1}')
    RETURNING id IS NOT NULL AS id, logged_at > now() - interval '1 hour' AS logged, community_id, event_type,
              description, metadata, host(ip_address) AS ip, severity;
INSERT INTO security_events (event_type, description, community_id, severity) VALUES
    ('login_failed'::legacy.security_event_type, 'a', '22222222-2222-4222-8222-222222222222', 'critical'),
    ('logout', 'b', NULL, NULL) RETURNING description, community_id, severity, metadata;
:try ($$INSERT INTO security_events (id, event_type, description) VALUES (gen_random_uuid(), 'logout', 'x')$$) f;
:try ($$INSERT INTO security_events (logged_at, event_type, description) VALUES (now(), 'logout', 'x')$$) f;
:try ($$INSERT INTO security_events (event_type, description, severity) VALUES ('logout', 'x', 'loud')$$) f;
:try ('INSERT INTO security_events (description) VALUES (NULL)') f;
:try ($$UPDATE security_events SET severity = 'info'$$) f;
:try ('DELETE FROM security_events') f;
:try ($$INSERT INTO user_sessions (user_id, ip_address) VALUES (gen_random_uuid(), '192.0.2.1')$$) f;
:try ($$UPDATE user_sessions SET terminated_at = now()$$) f;
:try ('DELETE FROM user_sessions') f;
RESET ROLE;
-- not even the owner
:try ($$UPDATE user_sessions SET terminated_at = now()$$) f;
:try ('DELETE FROM security_events') f;
-- what our own functions know and the earlier columns cannot hold shows as null
SELECT audit.log_security_event('logout', subject => '4711', tenant_id => 'acme', entity_id => 'R-7')
    AS own \gset
SELECT community_id, user_id, entity_id, event_type FROM security_events WHERE id = :'own';
-- others may nothing
SET ROLE regress_app;
:try ('SELECT count(*) FROM security_events') f;
:try ($$INSERT INTO security_events (event_type, description) VALUES ('logout', 'x')$$) f;
:try ($$SELECT log_security_event('logout', 'x')$$) f;
:try ($$SELECT create_user_session('11111111-1111-4111-8111-111111111111', '203.0.113.9')$$) f;
SET ROLE regress_reader;
SELECT count(*) > 0 AS reads FROM security_events;
:try ($$INSERT INTO security_events (event_type, description) VALUES ('logout', 'x')$$) f;
RESET ROLE;
RESET search_path;
-- a trigger function of a view is for nobody to attach
SET ROLE regress_owner;
CREATE TEMP TABLE own_table (id uuid);
:try ('CREATE TRIGGER x BEFORE INSERT ON own_table FOR EACH ROW EXECUTE FUNCTION audit._insert_compat_event()') f;
DROP TABLE own_table;
RESET ROLE;
-- each name that somebody else has taken stays theirs, and the hint frees it
CREATE SCHEMA "Ünï ""q"" s";
SET search_path = "Ünï ""q"" s";
CREATE TYPE security_event_type AS ENUM ('login_failed');
CREATE TABLE user_sessions (id uuid);
CREATE TYPE security_events AS (id uuid);
CREATE FUNCTION log_security_event(security_event_type, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE terminate_session() LANGUAGE sql AS '';
RESET search_path;
:try ($$SELECT audit.install_compat('Ünï "q" s', '{security}')$$) f \gset
SELECT :'code' AS code, :'message' AS message, :'hint' AS hint;
:hint
:try ($$SELECT audit.install_compat('Ünï "q" s', '{security}', replace => true)$$) f \gset
SELECT :'code' AS code, :'message' AS message, :'hint' AS hint;
:hint
:try ($$SELECT audit.install_compat('Ünï "q" s')$$) f \gset
SELECT :'code' AS code, :'message' AS message, :'hint' AS hint;
:hint
:try ($$SELECT audit.install_compat('Ünï "q" s')$$) f \gset
SELECT :'code' AS code, :'message' AS message, :'hint' AS hint;
:hint
:try ($$SELECT audit.install_compat('Ünï "q" s')$$) f \gset
SELECT :'code' AS code, :'message' AS message, :'hint' AS hint;
:hint
CREATE VIEW "Ünï ""q"" s".user_sessions AS SELECT 1 AS x;
COMMENT ON VIEW "Ünï ""q"" s".user_sessions IS 'audit_guard: not really';
:try ($$SELECT audit.install_compat('Ünï "q" s', replace => true)$$) f;
SELECT count(*) AS removed FROM audit.remove_compat('Ünï "q" s');
DROP VIEW "Ünï ""q"" s".user_sessions;
SELECT * FROM audit.install_compat('Ünï "q" s', '{security,guard}');
SELECT "Ünï ""q"" s".log_security_event('logout', 'x') IS NOT NULL AS logged;
SELECT "Ünï ""q"" s".log_security_event(p_event_type => 'logout', p_description => 'x') IS NOT NULL AS logged;
-- what is in use stays
CREATE VIEW legacy.mine AS SELECT id FROM "Ünï ""q"" s".user_sessions;
SELECT code FROM t.try($$SELECT count(*) FROM audit.remove_compat('Ünï "q" s')$$);
DROP VIEW legacy.mine;
SELECT * FROM audit.remove_compat('Ünï "q" s');
SELECT * FROM audit.remove_compat('legacy');
SELECT * FROM audit.remove_compat('legacy');
DROP SCHEMA legacy, "Ünï ""q"" s" CASCADE;
REVOKE audit_writer, audit_reader FROM regress_service;
DROP ROLE regress_service;
