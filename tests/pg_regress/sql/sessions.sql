-- How a session begins and ends: what is stored, logged and refused, and who may.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
BEGIN;
SET LOCAL intervalstyle = postgres;
SET LOCAL timezone = 'UTC';
CREATE ROLE regress_writer;
GRANT audit_writer TO regress_writer;
SELECT t.mark();
-- events and rows of the log that were not shown yet
CREATE SEQUENCE t.seen;
GRANT USAGE ON SEQUENCE t.seen TO PUBLIC;
CREATE VIEW t.events AS
    SELECT e.event_type, e.severity, e.outcome, e.description, e.subject, e.user_id IS NOT NULL AS has_user,
           e.tenant_id, e.session_id IS NOT NULL AS has_session, e.ip_address, e.user_agent,
           e.metadata, e.number
    FROM audit.security_events e ORDER BY e.number;
-- a session with everything, begun by a writer
SET LOCAL ROLE regress_writer;
SELECT audit.create_user_session(
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '203.0.113.9',
    '{"device_fingerprint": "fp", "device_id": "d1", "device_type": "mobile", "device_model": "Pixel",
      "browser": "Firefox", "browser_version": "130", "os": "Android", "os_version": "15",
      "screen_resolution": "1080x2400", "app_version": "2.1", "auth_session_id": "a1", "user_agent": "UA/1",
      "country": "DE", "region": "BE", "city": "Berlin", "latitude": 52.52, "longitude": "13.405",
      "more": {"x": 1}, "audit_guard": "mine", "kind": "forged"}',
    tenant_id => 't1', token_hash => sha256('token'), profile => 'aal3') AS full_id \gset
RESET ROLE;
\x
SELECT jsonb_pretty(to_jsonb(s) - '{id,expires_at,created_at,last_active_at}'::text[]) AS stored,
       s.expires_at - s.created_at AS lasts, s.last_active_at = s.created_at AS fresh,
       clock_timestamp() - s.created_at < interval '1 minute' AS now
    FROM audit.user_sessions s WHERE s.id = :'full_id';
SELECT event_type, severity, outcome, description, subject, has_user, tenant_id, has_session, ip_address,
    user_agent, metadata FROM t.events WHERE tenant_id = 't1';
\x
-- its changes are logged from the first one on, without the hash of the token
SELECT operation, record_id = :'full_id' AS same, tenant_id, new_record ? 'token_hash' AS named,
    new_record -> 'token_hash' AS hash, new_record ? 'last_active_at' AS heartbeat,
    actor_role = 'regress_writer' AS who
    FROM t.news('user_sessions');
SELECT exclude, mask, tenant_column, detail, status FROM audit.tracked_tables
    WHERE target = 'audit.user_sessions'::regclass;
SELECT kind, object, detail -> 'mask' AS mask FROM audit.guard_events
    WHERE object = 'audit.user_sessions';
-- people: by uuid, by a uuid as text, by anything else
SELECT audit.create_user_session(subject => 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12',
    ip_address => '::1') AS a \gset
SELECT audit.create_user_session('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', '10.1.2.3/8',
    subject => 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A13') AS b \gset
SELECT audit.create_user_session(subject => 'Ünï "q" ''t''; DROP TABLE x --',
    ip_address => '::ffff:1.2.3.4',
    device_info => NULL) AS c \gset
SELECT subject, user_id, tenant_id, ip_address, device_type, profile, idle_timeout,
    expires_at - created_at AS lasts
    FROM audit.user_sessions WHERE id IN (:'a', :'b', :'c') ORDER BY created_at;
-- tenant and program come from the request when they are not given
SELECT audit.set_context(tenant_id => 't9', context => '{"user_agent": "UA/2"}');
SELECT audit.create_user_session(subject => 'ada', ip_address => '203.0.113.9', profile => 'aal1') AS d \gset
SELECT audit.set_context();
SELECT tenant_id, user_agent, idle_timeout, expires_at - created_at AS lasts
    FROM audit.user_sessions WHERE id = :'d';
-- what a device says about itself never makes the login fail, and never fills the tables
SELECT audit.create_user_session(subject => 'eve', ip_address => '203.0.113.66',
    device_info => jsonb_build_object(
    'device_type', 'toaster', 'browser', repeat('ü', 100000), 'device_fingerprint', repeat('😀', 3000),
    'os', '{"a": 1}'::jsonb, 'device_id', 17, 'city', NULL, 'latitude', '91', 'longitude', 'NaN')) AS e \gset
SELECT device_type, length(browser) AS browser, length(device_fingerprint) AS fingerprint, os, device_id,
    city,
    latitude, longitude FROM audit.user_sessions WHERE id = :'e';
SELECT metadata FROM t.events WHERE subject = 'eve';
CREATE FUNCTION t.place(device_info jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made constant uuid := audit.create_user_session(subject => 'eve', ip_address => '::1',
    device_info => device_info);
BEGIN
    RETURN (SELECT concat_ws('/', s.latitude, s.longitude) FROM audit.user_sessions s WHERE s.id = made);
END $$;
SELECT p.place, t.place(p.place::jsonb) FROM (VALUES
    ('{"latitude": 1e400, "longitude": -180}'), ('{"latitude": -90, "longitude": 180.0000001}'),
    ('{"latitude": "1; DROP", "longitude": [1]}'), ('{"latitude": true, "longitude": ""}'),
    ('{"latitude": 12.123456789, "longitude": 1e2}'), ('{"latitude": "-0.5", "longitude": " 7"}')) p(place);
SELECT t.place('{"audit_guard": {"attempt": 1}, "kind": "x"}');
SELECT DISTINCT metadata ? 'audit_guard' AS ours, metadata ->> 'kind' AS kind FROM audit.security_events
    WHERE subject = 'eve';
-- refusals
:try ($$SELECT audit.create_user_session()$$) f;
:try ($$SELECT audit.create_user_session(subject => '  ', ip_address => '::1')$$) f;
:try ($$SELECT audit.create_user_session(subject => 'ada')$$) f;
:try ($$SELECT audit.create_user_session('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', '::1',
    subject => 'ada')$$) f;
:try ($$SELECT audit.create_user_session(subject => repeat('x', 501), ip_address => '::1')$$) f;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1', tenant_id => repeat('x',
    501))$$) f;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1', device_info => '[1]')$$) f;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1', device_info => 'null')$$) f;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1', token_hash => 'token')$$) f;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1', profile => 'AAL2')$$) f;
-- the end, once
SELECT setval('t.seen', max(number)) IS NOT NULL AS marked FROM audit.security_events;
SELECT t.mark();
SET LOCAL ROLE regress_writer;
SELECT audit.terminate_session(:'full_id') AS ended, audit.terminate_session(:'full_id', 'security') AS again;
SELECT audit.terminate_session(:'a', reason => 'security') AS ended;
RESET ROLE;
SELECT subject, terminated_at >= created_at AS at, termination_reason FROM audit.user_sessions
    WHERE terminated_at IS NOT NULL ORDER BY subject;
SELECT event_type, severity, description, subject, tenant_id, ip_address, user_agent, metadata FROM t.events
    WHERE number > (SELECT last_value FROM t.seen);
SELECT operation, changed_fields, new_record ->> 'termination_reason' AS reason FROM t.news('user_sessions');
-- all of a person but one, whoever names the person in whatever way
SELECT audit.create_user_session(subject => 'ada', ip_address => '203.0.113.9') AS keep \gset
SELECT audit.create_user_session(subject => 'ada', ip_address => '203.0.113.9') IS NOT NULL AS another;
SELECT audit.terminate_all_sessions(subject => 'ada', except_session => :'keep') AS ended;
SELECT audit.terminate_all_sessions(subject => 'ada', reason => 'security') AS ended;
SELECT audit.terminate_all_sessions(subject => 'ada') AS ended;
SELECT audit.terminate_all_sessions('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13') AS ended;
SELECT audit.terminate_all_sessions(subject => 'nobody') AS ended;
SELECT termination_reason, count(*) FROM audit.user_sessions WHERE subject = 'ada' GROUP BY 1 ORDER BY 1;
-- refusals
:try ($$SELECT audit.terminate_session(NULL)$$) f;
:try ($$SELECT audit.terminate_session('00000000-0000-4000-8000-000000000000')$$) f;
:try ($$SELECT audit.terminate_session('00000000-0000-4000-8000-000000000000', NULL)$$) f;
:try ($$SELECT audit.terminate_session('00000000-0000-4000-8000-000000000000', 'bored')$$) f;
:try ($$SELECT audit.terminate_all_sessions()$$) f;
:try ($$SELECT audit.terminate_all_sessions(subject => 'ada', reason => 'bored')$$) f;
:try ($$SELECT audit.terminate_all_sessions('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', 'ada')$$) f;
:try ($$SELECT audit.expire_sessions(NULL)$$) f;
:try ($$SELECT audit.expire_sessions(0)$$) f;
:try ($$SELECT audit.expire_sessions(100001)$$) f;
-- a savepoint that is rolled back leaves neither session nor event
SAVEPOINT a;
SELECT audit.create_user_session(subject => 'undone', ip_address => '::1') IS NOT NULL AS made;
ROLLBACK TO a;
SELECT (SELECT count(*) FROM audit.user_sessions WHERE subject = 'undone') AS sessions,
       (SELECT count(*) FROM audit.security_events WHERE subject = 'undone') AS events,
       (SELECT count(*) FROM t.news('user_sessions') n WHERE n.new_record ->> 'subject' = 'undone') AS logged;
-- what a superuser changes by hand can be seen; a heartbeat cannot
UPDATE audit.user_sessions SET terminated_at = NULL, termination_reason = NULL WHERE id = :'full_id';
UPDATE audit.user_sessions SET last_active_at = clock_timestamp() WHERE id = :'full_id';
DELETE FROM audit.user_sessions WHERE id = :'c';
TRUNCATE audit.user_sessions;
SELECT operation, changed_fields, old_record ->> 'subject' AS subject FROM t.news('user_sessions');
-- neither a role without any grant nor a reader gets as far as to do something; a writer does not write
-- by hand
SET LOCAL ROLE regress_app;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1')$$) f;
:try ($$SELECT audit.terminate_session('00000000-0000-4000-8000-000000000000')$$) f;
:try ($$SELECT audit.terminate_all_sessions(subject => 'ada')$$) f;
:try ($$SELECT audit.expire_sessions()$$) f;
:try ($$SELECT audit.validate_session('00000000-0000-4000-8000-000000000000')$$) f;
:try ($$SELECT audit.update_session_activity('00000000-0000-4000-8000-000000000000')$$) f;
:try ($$SELECT count(*) FROM audit.user_sessions$$) f;
:try ($$SELECT audit._end_session('00000000-0000-4000-8000-000000000000', 'logout')$$) f;
SET LOCAL ROLE regress_reader;
:try ($$SELECT audit.terminate_all_sessions(subject => 'ada')$$) f;
:try ($$UPDATE audit.user_sessions SET is_suspicious = false$$) f;
SET LOCAL ROLE regress_writer;
:try ($$INSERT INTO audit.user_sessions (subject) VALUES ('x')$$) f;
:try ($$SELECT audit.expire_sessions()$$) f;
SET LOCAL ROLE regress_admin;
:try ($$SELECT audit.expire_sessions()$$) f;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1')$$) f;
ROLLBACK;
