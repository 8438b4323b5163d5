-- begin_login_attempt and finish_login_attempt: a try is taken before, and given back after a success.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
CREATE ROLE regress_gate;
GRANT audit_writer TO regress_gate;
CREATE FUNCTION t.begin(email text, address inet, device text DEFAULT NULL, OUT verdict text, OUT id uuid)
LANGUAGE sql AS $$
    SELECT format('%s, %s + %s failures, %s left', coalesce(v.reason, 'free'), v.account_failures,
               v.network_failures, v.remaining)
           || CASE WHEN v.blocked <> (v.attempt_id IS NULL) OR v.blocked <> (v.retry_after_seconds > 0)
                   THEN ' WRONG' ELSE '' END, v.attempt_id
    FROM audit.begin_login_attempt(email, address, device) v
$$;
CREATE FUNCTION t.login(email text, address inet, device text DEFAULT NULL, success boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    b record;
BEGIN
    b := t.begin(email, address, device);
    RETURN b.verdict || CASE WHEN b.id IS NULL THEN ''
        WHEN audit.finish_login_attempt(b.id, success, subject => 'S-1') THEN ', done' ELSE ', not done' END;
END $$;
CREATE FUNCTION t.check(email text, address inet, device text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s, %s + %s failures, %s left', coalesce(v.reason, 'free'), v.account_failures,
        v.network_failures, v.remaining)
    FROM audit.check_login(email, address, device_fingerprint => device) v
$$;
-- the events since the last look
CREATE FUNCTION t.events() RETURNS TABLE (event text, email text, address inet, subject text, notes jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    mark bigint := coalesce(nullif(current_setting('t.events', true), ''), '0')::bigint;
BEGIN
    RETURN QUERY SELECT concat_ws(' ', e.event_type, e.severity, e.outcome), e.email, e.ip_address, e.subject,
            e.metadata #- '{audit_guard,attempt}' #- '{audit_guard,attempted_at}'
        FROM audit.security_events e WHERE e.number > mark ORDER BY e.number;
    PERFORM set_config('t.events', (SELECT max(e.number) FROM audit.security_events e)::text, false);
END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA t TO regress_gate;
SET LOCAL ROLE regress_gate;
-- five are let in, whether or not they were finished; what is tried counts as failed until it succeeds
SELECT i, b.verdict FROM generate_series(1, 3) i, t.begin('ada@example.org', ('10.0.0.' || i)::inet) b;
SELECT t.login('ADA@example.org ', '10.0.0.4');
SELECT t.login('ada@example.org', '10.0.0.5');
SELECT t.login('ada@example.org', '10.0.0.6');
SELECT t.login('ada@example.org', '10.0.0.7', 'phone', true);
SELECT t.check('ada@example.org', '10.0.0.8');
RESET ROLE;
SELECT * FROM t.events();
SELECT budget, count(*) FROM audit.login_attempts GROUP BY budget;
-- who gets in gives the try back, and earlier failures are forgotten
SELECT t.login('bob@example.org', '10.1.0.1') FROM generate_series(1, 4);
SELECT t.login('bob@example.org', '10.1.0.1', NULL, true);
SELECT t.check('bob@example.org', '10.1.0.2'), t.check('bob@example.org', '10.1.0.1');
-- an attempt that began before it and fails after it: what succeeded later forgives it, too
SELECT id AS first FROM t.begin('eve@example.org', '10.2.0.1') \gset
SELECT id AS second FROM t.begin('eve@example.org', '10.2.0.2') \gset
SELECT id AS third FROM t.begin('eve@example.org', '10.2.0.3') \gset
SELECT audit.finish_login_attempt(:'second', true), t.check('eve@example.org', '10.2.0.9');
SELECT audit.finish_login_attempt(:'first', false), audit.finish_login_attempt(:'third', false),
       t.check('eve@example.org', '10.2.0.9');
-- once only; an id that is none
SELECT audit.finish_login_attempt(:'second', true), audit.finish_login_attempt(:'first', false),
       audit.finish_login_attempt(NULL, true), audit.finish_login_attempt(gen_random_uuid(), false);
-- a network gives back what it took; accounts in it keep theirs
SELECT t.login('p' || i || '@example.org', '10.3.0.1') FROM generate_series(1, 9) i;
SELECT t.login('p10@example.org', '10.3.0.1', NULL, true), t.check('p11@example.org', '10.3.0.1');
SELECT t.login('p11@example.org', '10.3.0.1');
SELECT t.login('p12@example.org', '10.3.0.1'), t.check('p12@example.org', '10.3.0.2');
SELECT t.login('p10@example.org', '10.3.0.1') AS known_there;
SELECT verdict FROM t.begin(' ', '10.3.0.1'), t.events() LIMIT 1;
-- a known device under attack: it gets in, has five of its own, and gives the attacker nothing
SELECT t.login('kim@example.org', '10.4.0.1', 'phone', true);
SELECT t.login('kim@example.org', ('10.5.0.' || i)::inet) FROM generate_series(1, 6) i;
SELECT t.login('kim@example.org', '10.4.0.9', 'phone', true), t.check('kim@example.org', '10.5.0.9');
SELECT t.login('kim@example.org', '10.4.0.1', NULL, true), t.check('kim@example.org', '10.5.0.9');
SELECT t.login('kim@example.org', '10.4.0.9', 'phone') FROM generate_series(1, 6);
SELECT t.login('kim@example.org', '10.4.0.1') FROM generate_series(1, 6);
SELECT t.check('kim@example.org', '10.4.0.9'), t.check('kim@example.org', '10.4.0.1', 'phone');
SELECT event, notes, count(*) FROM t.events() WHERE email = 'kim@example.org' GROUP BY event, notes
    ORDER BY event, notes::text;
-- where a known device was, the account is known, too
SELECT t.check('kim@example.org', '10.4.0.9', 'tablet');
-- what nobody finishes has failed after five minutes
SELECT id AS late FROM t.begin('zoe@example.org', '10.6.0.1') \gset
SELECT t.login('zoe@example.org', '10.6.0.2', 'phone', true);
SELECT id AS late_device FROM t.begin('zoe@example.org', '10.6.0.3', 'phone') \gset
SELECT count(*) FROM t.events();
SELECT t.check('zoe@example.org', '10.6.0.9');
UPDATE audit.login_attempts SET attempted_at = attempted_at - interval '6 min' WHERE id = :'late';
SELECT audit.expire_sessions(1000);
SELECT * FROM t.events() WHERE email = 'zoe@example.org';
UPDATE audit.login_attempts SET attempted_at = attempted_at - interval '290 s' WHERE id = :'late_device';
SELECT audit.expire_sessions(1000);
SELECT count(*) FROM t.events();
UPDATE audit.login_attempts SET attempted_at = attempted_at - interval '10 s' WHERE id = :'late_device';
SELECT audit.expire_sessions(1000);
SELECT * FROM t.events() WHERE email = 'zoe@example.org';
SELECT audit.finish_login_attempt(:'late', true), audit.finish_login_attempt(:'late_device', true);
-- what is logged without a beginning counts as well, also for a device
SELECT audit.log_security_event('login_failed', metadata => '{"email": "Liv@example.org"}',
    ip_address => '10.7.0.1')
    IS NOT NULL AS logged FROM generate_series(1, 4);
SELECT t.check('liv@example.org', '10.7.0.2');
SELECT audit.log_security_event('login_success', email => 'liv@example.org', ip_address => '10.7.0.1',
    metadata => '{"device_fingerprint": "phone"}') IS NOT NULL AS logged;
SELECT t.check('liv@example.org', '10.7.0.2'), t.check('liv@example.org', '10.7.0.1');
SELECT audit.log_security_event('login_failed', email => 'liv@example.org', ip_address => '10.7.0.1',
    metadata => '{"device_fingerprint": "phone"}') IS NOT NULL AS logged FROM generate_series(1, 5);
SELECT t.check('liv@example.org', '10.7.0.2'), t.check('liv@example.org', '10.7.0.1'),
       t.check('liv@example.org', '10.7.0.3', 'phone');
ROLLBACK;
-- the transaction trap: what is rolled back did not happen; a savepoint is enough
SELECT count(*) FROM audit.login_counters;
BEGIN;
SAVEPOINT s;
SELECT blocked FROM audit.begin_login_attempt('ada@example.org', '10.0.0.1');
ROLLBACK TO s;
SELECT account_failures FROM audit.check_login('ada@example.org', '10.0.0.1');
SELECT blocked FROM audit.begin_login_attempt('ada@example.org', '10.0.0.1');
SAVEPOINT s;
SELECT audit.finish_login_attempt(id, true) FROM audit.login_attempts;
ROLLBACK TO s;
SELECT account_failures FROM audit.check_login('ada@example.org', '10.0.0.1');
SELECT audit.finish_login_attempt(id, true) FROM audit.login_attempts;
SELECT account_failures FROM audit.check_login('ada@example.org', '10.0.0.1');
ROLLBACK;
-- a commit that does not wait is made to wait for the disk here, for this transaction
BEGIN;
SET LOCAL synchronous_commit = off;
SELECT blocked FROM audit.begin_login_attempt('ada@example.org', '10.0.0.1');
SHOW synchronous_commit;
ROLLBACK;
BEGIN;
SET LOCAL synchronous_commit = remote_write;
SELECT blocked FROM audit.begin_login_attempt('ada@example.org', '10.0.0.1');
SHOW synchronous_commit;
ROLLBACK;
-- who is blocked and was reported writes nothing
BEGIN;
SELECT audit.begin_login_attempt('ada@example.org', '10.0.0.1') IS NOT NULL AS answered
    FROM generate_series(1, 6);
SELECT number AS before FROM audit.security_events ORDER BY number DESC LIMIT 1 \gset
SELECT audit.begin_login_attempt('ada@example.org', ('10.9.0.' || i)::inet) AS answer
    FROM generate_series(1, 3) i;
SELECT count(*) FROM audit.security_events WHERE number > :before;
SELECT count(*) FROM audit.login_networks WHERE network << '10.9.0.0/24';
ROLLBACK;
-- a prepared transaction keeps the try, and others wait for it; here it is rolled back
BEGIN;
SELECT blocked FROM audit.begin_login_attempt('ada@example.org', '10.0.0.1');
PREPARE TRANSACTION 'regress_login';
SELECT account_failures FROM audit.check_login('ada@example.org', '10.0.0.1');
ROLLBACK PREPARED 'regress_login';
-- nothing is written in a transaction that may not write
BEGIN READ ONLY;
SELECT code FROM t.try($$SELECT audit.begin_login_attempt('ada@example.org', '10.0.0.1')$$);
ROLLBACK;
-- refused, hostile, odd
BEGIN;
SELECT code, message, hint FROM t.try($$SELECT audit.finish_login_attempt(gen_random_uuid(), NULL)$$);
SELECT code, message, hint FROM t.try($$SELECT audit.finish_login_attempt(gen_random_uuid(), true,
    user_id => '00000000-0000-0000-0000-000000000001', subject => 'SECRET')$$);
SELECT audit.finish_login_attempt(v.attempt_id, true, user_id => 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')
    FROM audit.begin_login_attempt(E'o''hara <b>\n$1 %s"\\', '::ffff:10.0.0.1', repeat('x', 2000)) v;
SELECT audit.finish_login_attempt(v.attempt_id, false, subject => ' ')
    FROM audit.begin_login_attempt(repeat('ä', 2000), NULL, '') v;
SELECT length(email), ip_address, subject, user_id, length(metadata ->> 'device_fingerprint') AS device
    FROM audit.security_events ORDER BY number DESC LIMIT 2;
SELECT reason, account_failures FROM audit.check_login(repeat('ä', 320) || 'x', NULL);
SELECT audit.set_context(client_ip => '203.0.113.77');
SELECT network_failures FROM audit.begin_login_attempt('ada@example.org', NULL);
SELECT network_failures FROM audit.check_login('ada@example.org', '203.0.113.77');
SELECT blocked, attempt_id IS NULL FROM audit_api.begin_login_attempt('ada@example.org', '203.0.113.78');
ROLLBACK;
