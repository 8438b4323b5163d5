-- Whether a session is alive: every status, the heartbeat, and other devices and networks than at its
-- beginning.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
CREATE ROLE regress_writer;
GRANT audit_writer TO regress_writer;
-- what is said; times as what is left of them, in minutes
CREATE FUNCTION t.ask(session_id uuid, ip_address inet DEFAULT NULL, device_fingerprint text DEFAULT NULL,
    token_hash bytea DEFAULT NULL, OUT status text, OUT reason text, OUT subject text, OUT has_user boolean,
    OUT idle integer, OUT absolute integer)
LANGUAGE sql AS $$
    SELECT v.status, v.reason, v.subject, v.user_id IS NOT NULL,
           round(extract(epoch FROM v.idle_expires_at - clock_timestamp()) / 60),
           round(extract(epoch FROM v.expires_at - clock_timestamp()) / 60)
    FROM audit.validate_session(session_id, ip_address, device_fingerprint, token_hash) v $$;
CREATE FUNCTION t.idle_for(of_session uuid, minutes numeric) RETURNS void LANGUAGE sql AS $$
    UPDATE audit.user_sessions SET last_active_at = clock_timestamp() - minutes * interval '1 minute'
    WHERE id = of_session $$;
CREATE FUNCTION t.idle(of_session uuid) RETURNS integer LANGUAGE sql AS $$
    SELECT round(extract(epoch FROM clock_timestamp() - last_active_at) / 60) FROM audit.user_sessions
    WHERE id = of_session $$;
CREATE FUNCTION t.events(of_session uuid) RETURNS TABLE (event text) LANGUAGE sql AS $$
    SELECT concat_ws(' ', event_type, severity, ip_address, metadata - 'device_fingerprint')
    FROM audit.security_events WHERE session_id = of_session ORDER BY number $$;
SELECT audit.create_user_session('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '203.0.113.9',
    '{"device_fingerprint": "fp"}', token_hash => sha256('token')) AS id \gset
-- a writer asks
SET LOCAL ROLE regress_writer;
SELECT status, session_id = :'id' AS same, user_id, subject, reason FROM audit.validate_session(:'id');
SELECT audit.update_session_activity(:'id');
RESET ROLE;
SELECT * FROM t.ask(:'id');
SELECT * FROM t.ask(:'id', '203.0.113.9', 'fp', sha256('token'));
-- unknown is an answer, not an error; so is a token that is not its own
SELECT * FROM t.ask('00000000-0000-4000-8000-000000000000');
SELECT * FROM t.ask(NULL);
SELECT * FROM t.ask(:'id', token_hash => sha256('another'));
SELECT * FROM t.ask(:'id', token_hash => 'token');
SELECT audit.create_user_session(subject => 'ada', ip_address => '203.0.113.9') AS bare \gset
SELECT * FROM t.ask(:'bare', token_hash => sha256('token'));
SELECT audit.update_session_activity('00000000-0000-4000-8000-000000000000'),
    audit.update_session_activity(NULL);
-- the heartbeat: not again within the interval, and no row of the log
SELECT t.mark();
SELECT t.idle_for(:'id', 0.5);
SELECT status, idle FROM t.ask(:'id');
SELECT clock_timestamp() - last_active_at > interval '25 seconds' AS untouched
    FROM audit.user_sessions WHERE id = :'id';
SELECT t.idle_for(:'id', 30);
SELECT status, idle FROM t.ask(:'id');
SELECT t.idle(:'id');
SELECT t.idle_for(:'id', 30);
SELECT audit.update_session_activity(:'id'), t.idle(:'id');
SELECT count(*) FROM t.news('user_sessions');
-- an interval that is longer than the session may be idle does not let it run out in use
SET LOCAL audit_guard.session_touch_interval = 86400;
SELECT t.idle_for(:'id', 5);
SELECT status, idle FROM t.ask(:'id');
SELECT t.idle_for(:'id', 7);
SELECT status, idle FROM t.ask(:'id');
SET LOCAL audit_guard.session_touch_interval = 0;
SELECT t.idle_for(:'id', 2);
SELECT status, idle FROM t.ask(:'id');
RESET audit_guard.session_touch_interval;
-- a clock that was set back
SELECT t.idle_for(:'id', -60);
SELECT status, idle FROM t.ask(:'id');
-- it runs out: what is said does not depend on whether it was swept up
SELECT t.idle_for(:'id', 60);
SELECT * FROM t.ask(:'id');
SELECT audit.update_session_activity(:'id');
SELECT audit.expire_sessions();
SELECT * FROM t.ask(:'id');
SELECT * FROM t.ask(:'id', token_hash => sha256('another'));
SELECT audit.create_user_session(subject => 'bob', ip_address => '203.0.113.9', profile => 'aal1')
    AS bob \gset
SELECT idle, absolute FROM t.ask(:'bob');
UPDATE audit.user_sessions SET expires_at = clock_timestamp() WHERE id = :'bob';
SELECT * FROM t.ask(:'bob');
SELECT audit.expire_sessions();
SELECT * FROM t.ask(:'bob');
-- ended by somebody, also as expired
SELECT audit.terminate_session(:'bare', 'admin_revoke');
SELECT * FROM t.ask(:'bare');
SELECT audit.update_session_activity(:'bare');
SELECT audit.create_user_session(subject => 'cyd', ip_address => '203.0.113.9') AS cyd \gset
SELECT audit.terminate_session(:'cyd', 'expired');
SELECT status, reason FROM t.ask(:'cyd');
-- another network or device: a mark and an event, once for each reason; it stays alive
SELECT audit.create_user_session(subject => 'dee', ip_address => '203.0.113.9',
    device_info => '{"device_fingerprint": "fp"}') AS dee \gset
SELECT status, reason FROM t.ask(:'dee', '203.0.113.10');
SELECT status, reason FROM t.ask(:'dee', '203.0.113.10');
SELECT status, reason FROM t.ask(:'dee', '203.0.113.11', 'fp');
SELECT status, reason FROM t.ask(:'dee', '203.0.113.9', 'other');
SELECT status, reason FROM t.ask(:'dee');
SELECT audit.update_session_activity(:'dee');
SELECT is_suspicious, suspicious_reason, ip_address, device_fingerprint FROM audit.user_sessions
    WHERE id = :'dee';
SELECT * FROM t.events(:'dee');
-- somebody looked at it and cleared the mark: the same again is no news
UPDATE audit.user_sessions SET is_suspicious = false WHERE id = :'dee';
SELECT status, reason FROM t.ask(:'dee', '203.0.113.10', 'other');
SELECT count(*) FROM t.events(:'dee');
-- both at once
SELECT audit.create_user_session(subject => 'eli', ip_address => '203.0.113.9',
    device_info => '{"device_fingerprint": "fp"}') AS eli \gset
SELECT status, reason FROM t.ask(:'eli', '2001:db8::1', 'other');
SELECT * FROM t.events(:'eli');
-- the same network is no other: neighbours in IPv6, IPv4 written as IPv6, a mask
SELECT audit.create_user_session(subject => 'fay', ip_address => '2001:db8:0:1::1',
    device_info => jsonb_build_object('device_fingerprint', repeat('x', 900))) AS fay \gset
SELECT status, reason FROM t.ask(:'fay', '2001:db8:0:1:ffff::9', repeat('x', 900));
SELECT status, reason FROM t.ask(:'fay', '2001:db8:0:2::1', '');
SELECT audit.create_user_session(subject => 'gus', ip_address => '::ffff:203.0.113.9') AS gus \gset
SELECT status, reason FROM t.ask(:'gus', '203.0.113.9', 'none was stored');
SELECT status, reason FROM t.ask(:'gus', '203.0.113.9/8');
-- ended at once, or nothing at all
SET LOCAL audit_guard.session_on_change = 'terminate';
SELECT status, reason FROM t.ask(:'gus', '203.0.113.9');
SELECT status, reason FROM t.ask(:'gus', '203.0.113.10');
SELECT status, reason FROM t.ask(:'gus', '203.0.113.9');
SELECT * FROM t.events(:'gus');
SET LOCAL audit_guard.session_on_change = 'ignore';
SELECT audit.create_user_session(subject => 'hal', ip_address => '203.0.113.9') AS hal \gset
SELECT status, reason FROM t.ask(:'hal', '198.51.100.1');
RESET audit_guard.session_on_change;
SELECT count(*) FROM t.events(:'hal');
-- where nothing can be written, the answer is the same
SELECT t.idle_for(:'hal', 30);
SAVEPOINT standby;
SET LOCAL transaction_read_only = on;
SELECT status, reason FROM t.ask(:'hal');
SELECT status, reason FROM t.ask(:'hal', '198.51.100.1');
SELECT audit.update_session_activity(:'hal'), t.idle(:'hal');
SET LOCAL audit_guard.session_on_change = 'terminate';
SELECT status, reason FROM t.ask(:'hal', '198.51.100.1');
SELECT status, reason FROM t.ask(:'bob');
ROLLBACK TO standby;
SELECT count(*) FROM t.events(:'hal');
ROLLBACK;
