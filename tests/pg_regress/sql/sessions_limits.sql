-- The number of sessions a person may have, sessions that run out, and people who are in two places at once.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
BEGIN;
SET LOCAL intervalstyle = postgres;
CREATE FUNCTION t.login(subject text, device_info jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql
    RETURN audit.create_user_session(subject => subject, ip_address => '203.0.113.9',
    device_info => device_info);
-- what has come of a person's sessions, in the order in which they began
CREATE FUNCTION t.sessions(of_subject text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', coalesce(device_id, '-'), termination_reason), ', ' ORDER BY created_at)
    FROM audit.user_sessions WHERE subject = of_subject $$;
-- no limit
SELECT count(t.login('ada')) FROM generate_series(1, 20);
-- reject_new
SET LOCAL audit_guard.session_limit = 2;
SELECT t.login('bob', '{"device_id": 1}') AS b1 \gset
SELECT t.login('bob', '{"device_id": 2}') AS b2 \gset
:try ($$SELECT t.login('bob', '{"device_id": 3}')$$) f;
SELECT t.login('Bob') IS NOT NULL AS somebody_else;
SELECT t.sessions('bob');
-- one that has ended, or run out, makes room; also before anybody has swept it up
SELECT audit.terminate_session(:'b1');
SELECT t.login('bob', '{"device_id": 4}') IS NOT NULL AS made;
:try ($$SELECT t.login('bob')$$) f;
UPDATE audit.user_sessions SET last_active_at = clock_timestamp() - interval '61 minutes' WHERE id = :'b2';
SELECT t.login('bob', '{"device_id": 5}') IS NOT NULL AS made;
SELECT t.sessions('bob');
SET LOCAL audit_guard.session_limit = 1;
:try ($$SELECT t.login('bob')$$) f;
-- end_oldest: also when the limit has become lower since
SET LOCAL audit_guard.session_limit = 3;
SET LOCAL audit_guard.session_limit_policy = 'end_oldest';
SELECT t.login('cyd', jsonb_build_object('device_id', i)) IS NOT NULL AS made FROM generate_series(1, 4) i;
SELECT t.sessions('cyd');
SET LOCAL audit_guard.session_limit = 1;
SELECT t.login('cyd', '{"device_id": 5}') IS NOT NULL AS made;
SELECT t.sessions('cyd');
SELECT e.event_type, e.description, s.device_id, e.metadata FROM audit.security_events e
    JOIN audit.user_sessions s ON s.id = e.session_id
    WHERE e.subject = 'cyd' AND e.event_type = 'session_terminated' ORDER BY e.number;
-- end_least_recent
SET LOCAL audit_guard.session_limit = 2;
SET LOCAL audit_guard.session_limit_policy = 'end_least_recent';
SELECT t.login('dee', '{"device_id": 1}') AS d1 \gset
SELECT t.login('dee', '{"device_id": 2}') AS d2 \gset
UPDATE audit.user_sessions SET last_active_at = clock_timestamp() - interval '10 minutes' WHERE id = :'d2';
SELECT t.login('dee', '{"device_id": 3}') IS NOT NULL AS made;
SELECT t.sessions('dee');
-- settings that make no sense are refused when they are set
:try ($$SET LOCAL audit_guard.session_limit = -1$$) f;
:try ($$SET LOCAL audit_guard.session_limit_policy = 'guess'$$) f;
:try ($$SET LOCAL audit_guard.session_profile = 'aal4'$$) f;
:try ($$SET LOCAL audit_guard.session_on_change = 'panic'$$) f;
SET LOCAL ROLE regress_admin;
:try ($$SET LOCAL audit_guard.session_limit = 0$$) f;
RESET ROLE;
SET LOCAL audit_guard.session_limit = 0;
-- the default profile
SET LOCAL audit_guard.session_profile = 'aal3';
SELECT t.login('eli') IS NOT NULL AS made;
SELECT profile, idle_timeout, expires_at - created_at AS lasts FROM audit.user_sessions WHERE subject = 'eli';
SET LOCAL audit_guard.session_profile = 'aal2';
-- sessions that run out are ended, a bounded number at a time, the oldest first
DO 'BEGIN PERFORM audit.expire_sessions(); END';
SELECT t.login('fay', jsonb_build_object('device_id', i)) IS NOT NULL AS made FROM generate_series(1, 4) i;
UPDATE audit.user_sessions
    SET last_active_at = created_at - interval '2 hours' - device_id::integer * interval '1 second'
    WHERE subject = 'fay' AND device_id IN ('1', '2');
UPDATE audit.user_sessions SET expires_at = created_at - interval '1 year'
    WHERE subject = 'fay' AND device_id = '3';
SELECT audit.expire_sessions(2);
SELECT t.sessions('fay');
SELECT audit.expire_sessions(2), audit.expire_sessions(2);
SELECT t.sessions('fay');
SELECT event_type, severity, description, count(*) FROM audit.security_events
    WHERE subject = 'fay' AND event_type = 'session_terminated' GROUP BY 1, 2, 3;
-- the worker's step says when there is more to do
INSERT INTO audit.user_sessions (subject, ip_address, idle_timeout, expires_at)
    SELECT 'gil', '::1', '1 hour', clock_timestamp() - interval '1 day' FROM generate_series(1, 1001);
SELECT audit._maintain('sessions');
SELECT audit._maintain('sessions');
SELECT termination_reason, count(*) FROM audit.user_sessions WHERE subject = 'gil' GROUP BY 1;
-- found by an index, however many others there are
SET LOCAL enable_seqscan = off;
CREATE FUNCTION t.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF line ~ 'Scan' THEN RETURN NEXT btrim(regexp_replace(line, '->|Backward', '', 'g')); END IF;
    END LOOP;
END $$;
SELECT t.plan($$SELECT s.id FROM audit.user_sessions s WHERE s.terminated_at IS NULL
    AND audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) <= now()
    ORDER BY audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) LIMIT 10$$);
SELECT t.plan($$SELECT * FROM audit.user_sessions WHERE subject = 'x' AND created_at > now()
    ORDER BY created_at DESC$$);
RESET enable_seqscan;
-- Berlin, an hour later Potsdam (27 km), Sydney (16,000 km), and back: twice too fast
CREATE FUNCTION t.travel(subject text, north numeric, east numeric) RETURNS text LANGUAGE sql AS $$
    WITH made(id) AS (SELECT t.login(subject, jsonb_build_object('latitude', north, 'longitude', east)))
    SELECT 'made' FROM made $$;
CREATE FUNCTION t.hours_go_by(of_subject text, hours numeric) RETURNS void LANGUAGE sql AS $$
    UPDATE audit.user_sessions SET created_at = created_at - hours * interval '1 hour'
    WHERE subject = of_subject $$;
SELECT t.travel('gus', 52.52, 13.40), t.hours_go_by('gus', 1);
SELECT t.travel('gus', 52.39, 13.06), t.hours_go_by('gus', 1);
SELECT t.travel('gus', -33.87, 151.21), t.hours_go_by('gus', 1);
SELECT t.travel('gus', 52.52, 13.40), t.hours_go_by('gus', 1);
-- without a place, and after a day: nothing to say
SELECT t.login('gus') IS NOT NULL AS made;
SELECT t.hours_go_by('gus', 24);
SELECT t.travel('gus', -33.87, 151.21);
-- across the date line, over the pole and in the same place at the same time: near
SELECT t.travel('hal', 0, 179.9), t.travel('hal', 0, -179.9), t.travel('hal', 0, -179.9);
SELECT t.travel('ivy', 89.9, 0), t.travel('ivy', 89.9, 180);
-- half way round the earth
SELECT t.travel('joe', 0, 0), t.travel('joe', 0, 180);
SELECT subject, is_suspicious, suspicious_reason, latitude, longitude FROM audit.user_sessions
    WHERE subject IN ('gus', 'hal', 'ivy', 'joe') AND latitude IS NOT NULL ORDER BY subject, created_at;
SELECT e.subject, e.severity, e.metadata - 'other_session' AS metadata,
    EXISTS (SELECT FROM audit.user_sessions s WHERE s.id = (e.metadata ->> 'other_session')::uuid
                                                    AND s.subject = e.subject) AS other
    FROM audit.security_events e WHERE e.event_type = 'suspicious_activity'
    AND e.subject IN ('gus', 'hal', 'ivy', 'joe') ORDER BY e.number;
ROLLBACK;
-- a limit needs a snapshot that is younger than its lock
SET audit_guard.session_limit = 1;
BEGIN ISOLATION LEVEL REPEATABLE READ;
:try ($$SELECT audit.create_user_session(subject => 'ada', ip_address => '::1')$$) f;
ROLLBACK;
RESET audit_guard.session_limit;
