-- Unlocking, networks that many people share, counters made again from the events, and how they are swept.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
CREATE FUNCTION t.check(email text, address inet, device text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s, %s + %s failures, %s left', coalesce(v.reason, 'free'), v.account_failures,
        v.network_failures, v.remaining)
    FROM audit.check_login(email, address, device_fingerprint => device) v
$$;
CREATE FUNCTION t.fail(email text, address inet, device text DEFAULT NULL, success boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v audit.login_verdict := audit.begin_login_attempt(email, address, device);
BEGIN
    RETURN coalesce(v.reason, audit.finish_login_attempt(v.attempt_id, success)::text);
END $$;
CREATE FUNCTION t.guards() RETURNS TABLE (kind text, object text, reason text, notes jsonb) LANGUAGE sql AS $$
    SELECT e.kind, regexp_replace(e.object, '[0-9a-f-]{36}', 'KEY'), e.reason, e.detail - 'at'
    FROM audit.guard_events e WHERE e.kind ~ '^(login|network)_' ORDER BY e.id
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA t TO PUBLIC;
-- a locked-out user calls
SELECT count(t.fail('ada@example.org', ('10.0.0.' || i)::inet)) FROM generate_series(1, 6) i;
SELECT t.fail('bob@example.org', '10.0.1.1', 'phone', true);
SELECT count(audit.begin_login_attempt('bob@example.org', ('10.0.2.' || i)::inet, 'phone'))
    FROM generate_series(1, 6) i;
SELECT t.check('Ada@example.org', '10.9.9.9'), t.check('bob@example.org', '10.0.2.9', 'phone'),
       t.check('bob@example.org', '10.0.2.9');
SET LOCAL ROLE regress_admin;
SELECT audit.unlock_login(' ADA@example.org', 'called in, identity checked');
SELECT audit.unlock_login('ada@example.org', 'once more'), audit.unlock_login('nobody@example.org', 'x');
SELECT audit.unlock_login('bob@example.org', 'his phone');
RESET ROLE;
SELECT t.check('ada@example.org', '10.9.9.9'), t.check('bob@example.org', '10.0.2.9', 'phone');
-- not for ever
SELECT count(t.fail('ada@example.org', ('10.0.0.' || i)::inet)) FROM generate_series(11, 16) i;
SELECT t.check('ada@example.org', '10.9.9.9');
-- networks: an address stands for the network that it shares a budget with
SELECT count(t.fail('p' || i || '@example.org', '198.51.100.7')) FROM generate_series(1, 11) i;
SELECT count(t.fail('q' || i || '@example.org', ('2001:db8:7:1::' || i)::inet)) FROM generate_series(1, 11) i;
SELECT t.check('r@example.org', '198.51.100.7'), t.check('r@example.org', '2001:db8:7:1:2:3:4:5');
SET LOCAL ROLE regress_admin;
SELECT audit.unlock_network('2001:db8:7:1::ff', 'one host'), audit.unlock_network('::ffff:198.51.100.0/120',
    'all');
SELECT audit.unlock_network('198.51.100.0/24', 'nothing left');
RESET ROLE;
SELECT t.check('r@example.org', '198.51.100.7'), t.check('r@example.org', '2001:db8:7:1:2:3:4:5');
SELECT * FROM t.guards();
-- the list: failures count for the accounts alone
SET LOCAL ROLE regress_admin;
SELECT audit.allow_network('198.51.100.0/24', 'an office');
SELECT audit.allow_network('198.51.100.0/24', 'an office, until', now() + interval '1 day');
SELECT audit.allow_network('::ffff:203.0.113.0/120', 'another');
SELECT audit.allow_network('2001:db8:8::/48', 'a campus'), audit.allow_network('2001:db8:9:1::5', 'one host');
SELECT audit.allow_network('0.0.0.0', 'addresses are not known');
RESET ROLE;
SELECT network, reason, added_by = session_user AS me, expires_at IS NOT NULL AS ends
    FROM audit.login_allowlist
    ORDER BY network;
SELECT w, count(t.fail('s' || i || '@example.org', w)), t.check('t@example.org', w),
       audit.should_block_login('t@example.org', w) AS seed
    FROM unnest(ARRAY['198.51.100.7', '203.0.113.9', '::ffff:203.0.113.8', '2001:db8:8:1::1', '2001:db8:9:1::5',
            '2001:db8:9:2::5', NULL]::inet[])
        WITH ORDINALITY v(w, place), generate_series(place * 100, place * 100 + 11) i GROUP BY place,
            w ORDER BY place;
-- of a network that many share, one host was allowed: its neighbours are not
SELECT t.check('t@example.org', '2001:db8:9:1::6');
SELECT count(t.fail('u@example.org', '198.51.100.8')) FROM generate_series(1, 6);
SELECT t.check('u@example.org', '198.51.100.8') AS account;
UPDATE audit.login_allowlist SET expires_at = now() - interval '1 s' WHERE network = '198.51.100.0/24';
SELECT t.check('t@example.org', '198.51.100.7') AS expired;
SET LOCAL ROLE regress_admin;
SELECT audit.disallow_network('2001:db8:8::/48', 'moved'), audit.disallow_network('2001:db8:8::/48', 'again'),
       audit.disallow_network('2001:db8:8::/47', 'no such entry');
SELECT count(*) FROM audit.login_allowlist;
RESET ROLE;
SELECT t.check('t@example.org', '2001:db8:8:1::1');
SELECT object, kind, reason, notes - 'expires_at' AS notes
    FROM t.guards() WHERE kind ~ 'allowed' ORDER BY object, kind, reason;
ROLLBACK;
-- made again from the events, the counters say the same
BEGIN;
CREATE FUNCTION t.verdicts() RETURNS TABLE (email text, address inet, device text, verdict text)
    LANGUAGE sql AS $$
    SELECT 'p' || p || '@example.org', v.address::inet, v.device,
           (SELECT format('%s, %s + %s failures, %s left', c.reason, c.account_failures, c.network_failures,
                          c.remaining)
            FROM audit.check_login('p' || p || '@example.org', v.address::inet, 100, 1440, v.device) c)
    FROM generate_series(0, 9) p,
         (SELECT a, d FROM unnest(ARRAY['10.0.0.0', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.1.0',
                     '10.0.1.1', '10.0.2.1', NULL]) a,
                 unnest('{d0,d1,d2,d3,d4,d5,d6,NULL}'::text[]) d) v(address, device)
$$;
CREATE FUNCTION t.fail(email text, address inet, device text DEFAULT NULL, success boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v audit.login_verdict := audit.begin_login_attempt(email, address, device);
BEGIN
    RETURN coalesce(v.reason, audit.finish_login_attempt(v.attempt_id, success)::text);
END $$;
SELECT count(t.fail('p' || i % 5 || '@example.org', ('10.0.0.' || i % 4)::inet, nullif('d' || i % 7, 'd0'),
    i % 11 = 3))
    FROM generate_series(1, 60) i;
SELECT count(audit.log_security_event(
    (CASE WHEN i % 13 = 5 THEN 'login_success' ELSE 'login_failed' END)::audit.security_event_type,
    email => 'P' || i % 6 || '@Example.org', ip_address => nullif('10.0.1.' || i % 3, '10.0.1.2')::inet,
    metadata => jsonb_build_object('device_fingerprint', 'd' || i % 4))) FROM generate_series(1, 60) i;
SELECT count((audit.begin_login_attempt('p' || i || '@example.org', '10.0.2.1', 'd1')).attempt_id)
    FROM generate_series(1, 9) i;
SELECT audit.unlock_login('p1@example.org', 'x'), audit.unlock_network('10.0.0.2', 'x');
SELECT count(t.fail('p' || i % 3 || '@example.org', ('10.0.0.' || i % 4)::inet, 'd1', i % 5 = 3)) > 0 AS more
    FROM generate_series(1, 9) i;
CREATE TEMP TABLE before AS SELECT * FROM t.verdicts();
SELECT count(*), count(DISTINCT verdict) > 40 AS they_differ FROM before;
SELECT audit.rebuild_login_counters() > 10 AS rebuilt;
SELECT * FROM (TABLE before EXCEPT SELECT * FROM t.verdicts()) x;
-- also from nothing, as after a restore without the counters
DELETE FROM audit.login_counters;
DELETE FROM audit.login_networks;
SELECT audit.rebuild_login_counters() > 10 AS rebuilt;
SELECT * FROM (TABLE before EXCEPT SELECT * FROM t.verdicts()) x;
ROLLBACK;
-- whatever the log holds, it does not fail
BEGIN;
SELECT audit.log_security_event('logout', subject => '1') IS NOT NULL AS logged;
SELECT audit.begin_restore('strange rows');
INSERT INTO audit.security_events (logged_at, event_type, email, ip_address, metadata, description,
    actor_role,
    login_role, transaction_id)
    SELECT now() - interval '1 min', e::audit.security_event_type, 'x@example.org', '10.0.0.1', m::jsonb,
        'x', 'r', 'r', 1
    FROM unnest('{login_failed,login_success}'::text[]) e, unnest(ARRAY['{}', '[]', '"text"', '7', 'null',
        '{"audit_guard": 7}', '{"audit_guard": {"attempted_at": "yesterday"}}',
        '{"audit_guard": {"attempted_at": 1e300}}', '{"audit_guard": {"attempted_at": -1}}',
        '{"audit_guard": {"attempted_at": 1e-300}}', '{"audit_guard": {"attempted_at": {}, "budget": []}}',
        '{"audit_guard": {"budget": "other", "keeps_account": "yes"}}',
            '{"device_fingerprint": {"a": 1}}']) m;
INSERT INTO audit.security_events (logged_at, event_type, email, metadata, description, actor_role,
    login_role,
    transaction_id) VALUES (now() - interval '1 min', 'login_failed', repeat('x', 3000), '{}', 'x', 'r',
        'r', 1),
    (now() + interval '1 min', 'login_failed', E'\u0001', '{}', 'x', 'r', 'r', 1);
SELECT audit._record_event('login_unlocked', o, 'x', d::jsonb) IS NOT NULL AS recorded
    FROM (VALUES (NULL, '{}'), ('account x', '{"at": "x"}'), ('x', '{"at": -1}')) v(o, d);
SELECT audit._record_event('network_unlocked', o, 'x', d::jsonb) IS NOT NULL AS recorded
    FROM (VALUES (NULL, '{}'), ('10.0.0.300/99', '{}'), ('x', '{"at": []}')) v(o, d);
SELECT audit.rebuild_login_counters() > 0 AS rebuilt;
ROLLBACK;
-- what is over is swept: failures of yesterday, not whoever is known
BEGIN;
SELECT count(audit._count_failure('old' || i || '@example.org', ('10.2.' || i % 7 || '.1')::inet,
    now() - interval '24 h 1 min')) FROM generate_series(1, 50) i;
SELECT count(audit._count_failure('new' || i || '@example.org', ('10.3.' || i % 7 || '.1')::inet,
    now() - interval '23 h 59 min')) FROM generate_series(1, 50) i;
SELECT count(audit._count_success('known@example.org', '10.4.0.1', 'd', now() - interval '89 d')),
       count(audit._count_success('gone@example.org', '10.4.0.1', 'd', now() - interval '91 d'));
SELECT audit._sweep_logins(1000) > 0 AS swept;
SELECT audit._sweep_logins(1000);
SELECT count(*), count(known_until) FROM audit.login_counters;
SELECT count(*) FROM audit.login_networks;
-- and when there are too many, the oldest that block nobody
SET LOCAL audit_guard.login_max_keys = 1000;
SELECT count(audit._count_failure('blocked@example.org', '10.5.0.1', now() - interval '14 min'))
    FROM generate_series(1, 5) i;
SELECT count(audit._count_failure('x' || i || '@example.org', '10.6.0.0'::inet + i, clock_timestamp()))
    FROM generate_series(1, 8000) i;
SELECT count(*) BETWEEN 500 AND 3000 AS about_a_thousand, count(known_until) FROM audit.login_counters;
SELECT count(*) BETWEEN 500 AND 3000 AS about_a_thousand FROM audit.login_networks;
SELECT audit.should_block_login('blocked@example.org', NULL), audit.should_block_login('x8000@example.org',
    NULL, 1);
ROLLBACK;
-- refused
BEGIN;
SET LOCAL ROLE regress_admin;
SELECT w, e.code, e.message, e.hint FROM unnest(ARRAY[
        $$unlock_login(NULL, 'x')$$, $$unlock_login(' ', 'x')$$, $$unlock_login('a@b.c', NULL)$$,
        $$unlock_login('a@b.c', ' ')$$, $$unlock_network(NULL, 'x')$$, $$unlock_network('10.0.0.0/8', NULL)$$,
        $$unlock_network('10.0.0.0/8', E'\n')$$, $$allow_network(NULL, 'x')$$, $$allow_network('10.0.0.0/8',
            '')$$,
        $$allow_network('10.0.0.0/8', NULL)$$, $$allow_network('10.0.0.0/8', 'x', now())$$,
        $$allow_network('10.0.0.0/8', 'x', '-infinity')$$, $$disallow_network(NULL, 'x')$$,
        $$disallow_network('10.0.0.0/8', NULL)$$, $$allow_network('10.0.0.1/8', 'x')$$]) w,
    LATERAL t.try('SELECT audit.' || w) e;
SELECT count(*) FROM audit.login_allowlist;
SELECT w, e.code, e.message
    FROM unnest(ARRAY['INSERT INTO audit.login_allowlist VALUES (''10.0.0.0/8'', ''x'')',
    'DELETE FROM audit.login_allowlist', 'UPDATE audit.login_counters SET failures = NULL',
    'SELECT audit.begin_login_attempt(''a@b.c'', NULL)']) w, LATERAL t.try(w) e;
SET LOCAL ROLE audit_writer;
SELECT w, e.code, e.message FROM unnest(ARRAY['unlock_login(NULL, NULL)', 'unlock_network(NULL, NULL)',
    'allow_network(NULL, NULL)', 'disallow_network(NULL, NULL)', 'rebuild_login_counters()']) w,
    LATERAL t.try(format('SELECT audit.%s', w)) e;
SET LOCAL ROLE regress_reader;
SELECT code, message FROM t.try($$SELECT audit.unlock_login('a@b.c', 'x')$$);
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT code, message, hint FROM t.try('SELECT audit.rebuild_login_counters()');
ROLLBACK;
