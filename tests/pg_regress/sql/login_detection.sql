-- What is put on record as suspicious: spraying, stuffing, slow guessing; each once.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
CREATE FUNCTION t.fail(email text, address inet) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v audit.login_verdict := audit.begin_login_attempt(email, address);
BEGIN
    RETURN coalesce(v.reason, audit.finish_login_attempt(v.attempt_id, false)::text);
END $$;
CREATE FUNCTION t.suspicions() RETURNS TABLE (kind text, severity text, email text, address inet,
    times bigint)
LANGUAGE sql AS $$
    SELECT e.metadata ->> 'kind', e.severity, e.email, e.ip_address, count(*) FROM audit.security_events e
    WHERE e.event_type = 'suspicious_activity' GROUP BY 1, 2, 3, 4 ORDER BY 1, 4
$$;
-- spraying: five accounts from one network; not five failures of one
SELECT t.fail('ada@example.org', '10.0.0.1') FROM generate_series(1, 4);
SELECT t.fail('p' || i || '@example.org', '10.0.0.1') FROM generate_series(1, 3) i;
SELECT * FROM t.suspicions();
SELECT t.fail('p' || i || '@example.org', '10.0.0.1') FROM generate_series(3, 6) i;
SELECT * FROM t.suspicions();
-- logins that succeed, and those under way, are none
SELECT audit.finish_login_attempt(v.attempt_id, true) FROM generate_series(1, 6) i,
    audit.begin_login_attempt('q' || i || '@example.org', '10.0.0.2') v;
SELECT count(v.attempt_id) FROM generate_series(11, 19) i,
    audit.begin_login_attempt('q' || i || '@example.org', '10.0.0.2') v;
SELECT * FROM t.suspicions();
-- a customer of IPv6 counts as one network; events that are only logged count as well
SELECT count(audit.log_security_event('login_failed', email => 'r' || i || '@example.org',
    ip_address => ('2001:db8::' || i)::inet)) FROM generate_series(1, 6) i;
SELECT * FROM t.suspicions();
-- not where many people share an address
SELECT audit.allow_network('10.0.3.0/24', 'an office');
SELECT count(t.fail('s' || i || '@example.org', '10.0.3.1')) FROM generate_series(1, 12) i;
SELECT * FROM t.suspicions();
-- again after the window, or when an admin had it forgotten
SELECT audit.unlock_network('10.0.0.1', 'once more');
SELECT count(t.fail('t' || i || '@example.org', '10.0.0.1')) FROM generate_series(1, 6) i;
SELECT * FROM t.suspicions() WHERE address = '10.0.0.1';
UPDATE audit.login_networks SET sprayed_at = sprayed_at - interval '15 min' WHERE network = '10.0.0.1';
SELECT t.fail('t9@example.org', '10.0.0.1');
SELECT * FROM t.suspicions() WHERE address = '10.0.0.1';
ROLLBACK;
BEGIN;
-- slow guessing: a hundred failures of one account within a day, whatever limit is set
CREATE FUNCTION t.suspicions() RETURNS TABLE (kind text, severity text, email text, address inet,
    times bigint)
LANGUAGE sql AS $$
    SELECT e.metadata ->> 'kind', e.severity, e.email, e.ip_address, count(*) FROM audit.security_events e
    WHERE e.event_type = 'suspicious_activity' GROUP BY 1, 2, 3, 4 ORDER BY 1, 4
$$;
SELECT count(audit._count_failure('ada@example.org', ('10.1.0.' || i)::inet, now() - i * interval '14 min'))
    FROM generate_series(1, 98) i;
SELECT audit.log_security_event('login_failed', email => 'ada@example.org',
    ip_address => '10.1.1.1') IS NOT NULL;
SELECT * FROM t.suspicions();
SELECT audit.log_security_event('login_failed', email => 'Ada@example.org',
    ip_address => '10.1.1.2') IS NOT NULL;
SELECT audit.log_security_event('login_failed', email => 'ada@example.org',
    ip_address => '10.1.1.3') IS NOT NULL;
SELECT * FROM t.suspicions();
ROLLBACK;
BEGIN;
-- stuffing: more failures in a minute than a hundred and twenty, and ten times as many as usual
CREATE FUNCTION t.stuffing() RETURNS TABLE (severity text, enough boolean, usual jsonb, place text)
    LANGUAGE sql AS $$
    SELECT e.severity, (e.metadata -> 'failures')::integer >= 120, e.metadata -> 'usual',
           concat_ws(' ', e.email, e.ip_address, e.subject)
    FROM audit.security_events e WHERE e.metadata ->> 'kind' = 'credential_stuffing'
$$;
-- One failure in eight is counted, for eight.
CREATE FUNCTION t.rate(times integer, minute integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..times / 8 LOOP
        PERFORM audit._count_rate('2030-01-01 00:00+00'::timestamptz + minute * interval '1 min');
    END LOOP;
END $$;
UPDATE audit.login_rate SET failures = 0, baseline = 0, minute = 0, reported_at = NULL;
SELECT FROM t.rate(119, 0);
SELECT * FROM t.stuffing();
SELECT FROM t.rate(16, 0);
SELECT * FROM t.stuffing();
-- not again within a quarter of an hour
SELECT FROM t.rate(600, 14);
SELECT count(*) FROM t.stuffing();
SELECT FROM t.rate(600, 15);
SELECT count(*) FROM t.stuffing();
-- what is usual: some twenty-four a minute, so 150 are nothing special and 600 are
UPDATE audit.login_rate SET failures = 0, baseline = 0, minute = 0, reported_at = NULL;
SELECT count(t.rate(24, i)) FROM generate_series(200, 400) i;
SELECT FROM t.rate(150, 401);
SELECT count(*) FROM t.stuffing();
SELECT FROM t.rate(450, 401);
SELECT count(*), max((usual)::integer) BETWEEN 22 AND 24 AS usual FROM t.stuffing();
-- when no row could be written, nothing is known, and nothing is put on record
UPDATE audit.login_rate SET failures = 0, baseline = 0, minute = 0, reported_at = NULL;
DELETE FROM audit.login_rate WHERE shard >= 0;
SELECT count(*) AS before FROM t.stuffing();
SELECT audit._count_rate('2031-01-01 00:00+00') AS found;
SELECT count(*) AS after FROM t.stuffing();
ROLLBACK;
