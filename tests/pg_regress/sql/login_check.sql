-- should_block_login and check_login: the rolling window, who counts as the same, who has tries of his own.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
CREATE ROLE regress_gate;
GRANT audit_writer TO regress_gate;
-- A history is loaded as a restore does it, and counted. The first event makes the table ready.
SELECT audit.log_security_event('logout', subject => '1') IS NOT NULL AS logged;
SELECT audit.begin_restore('a history of logins');
\set count 'DO $$BEGIN PERFORM audit.rebuild_login_counters(); END$$;'
CREATE FUNCTION t.past(event text, email text, address inet, ago interval, times integer DEFAULT 1,
    metadata jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit.security_events (logged_at, event_type, email, ip_address, metadata, description,
        actor_role,
        login_role, transaction_id)
    SELECT now() - ago + i * interval '1 ms', event::audit.security_event_type, email, address, metadata,
        'x', 'r',
        'r', 1
    FROM generate_series(1, times) i
$$;
CREATE FUNCTION t.verdict(email text, address inet, max_attempts integer DEFAULT NULL,
    window_minutes integer DEFAULT NULL, device text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s, %s + %s failures, %s left%s', coalesce(v.reason, 'free'), v.account_failures,
        v.network_failures, v.remaining,
        CASE WHEN v.blocked <> (v.retry_after_seconds > 0) OR v.attempt_id IS NOT NULL THEN ' WRONG' END)
    FROM audit.check_login(email, address, max_attempts, window_minutes, device) v
$$;
-- nobody failed yet
SELECT audit.should_block_login('ada@example.org', '203.0.113.9');
SELECT * FROM audit.check_login('ada@example.org', '203.0.113.9');
-- five of an account, and not four
SELECT t.past('login_failed', 'ada@example.org', '203.0.113.1', '14.5 min', 4) \g /dev/null
:count
SELECT t.verdict('ada@example.org', '203.0.113.9');
SELECT audit.should_block_login('ada@example.org', '203.0.113.9');
SELECT t.past('login_failed', 'ada@example.org', '203.0.113.2', '1 min') \g /dev/null
:count
SELECT t.verdict('ada@example.org', '203.0.113.9');
SELECT audit.should_block_login('ada@example.org', '203.0.113.9');
-- the wait ends with the oldest of the five
SELECT retry_after_seconds BETWEEN 1 AND 30 FROM audit.check_login('ada@example.org', '203.0.113.9');
-- other limits and windows; a window has no end at which it starts anew
SELECT max_attempts, window_minutes,
       audit.should_block_login('ada@example.org', NULL, max_attempts, window_minutes) AS seed,
       t.verdict('ada@example.org', '203.0.113.9', max_attempts, window_minutes)
    FROM (VALUES (5, 13), (5, 14), (5, 15), (1, 2), (2, 2), (5, 1440), (6, 1440), (100, 1))
        v(max_attempts, window_minutes);
-- one person, however the email is written; others are others
SELECT length(w), audit.should_block_login(w, NULL)
    FROM unnest(ARRAY['ADA@Example.ORG', E'\t ada@example.org\u00a0\n',
    U&'\FF41da@example.org', 'ada+x@example.org', 'ad@example.org', 'a.da@example.org', '', ' ', NULL]) w;
-- a network has twice as many
SELECT t.past('login_failed', 'p' || i || '@example.org', '198.51.100.7', '5 min')
    FROM generate_series(1, 9) i \g /dev/null
:count
SELECT t.verdict('bob@example.org', '198.51.100.7'), audit.should_block_login('bob@example.org',
    '198.51.100.7');
SELECT t.past('login_failed', '', '198.51.100.7', '5 min') \g /dev/null
:count
SELECT w, t.verdict('bob@example.org', w), t.verdict(' ', w), audit.should_block_login('bob@example.org', w),
       audit.should_block_login(NULL, w)
    FROM unnest('{198.51.100.7,198.51.100.7/8,::ffff:198.51.100.7,198.51.100.8,NULL}'::inet[]) w;
SELECT t.verdict('ada@example.org', '198.51.100.7') AS both;
SET LOCAL audit_guard.login_network_factor = 3;
SELECT t.verdict('bob@example.org', '198.51.100.7'), audit.should_block_login('bob@example.org',
    '198.51.100.7');
RESET audit_guard.login_network_factor;
-- an IPv6 customer has one budget
SELECT t.past('login_failed', NULL, ('2001:db8:7:1::' || to_hex(i))::inet, '5 min')
    FROM generate_series(1, 10) i \g /dev/null
:count
SELECT w, t.verdict(NULL, w)
    FROM unnest('{2001:db8:7:1:ffff::1,2001:db8:7:1::1/48,2001:db8:7:2::1}'::inet[]) w;
SET LOCAL audit_guard.login_ipv6_prefix = 56;
:count
SELECT t.verdict(NULL, '2001:db8:7:2::1');
RESET audit_guard.login_ipv6_prefix;
-- those without an address share one, which the request may know
SELECT t.past('login_failed', NULL, NULL, '5 min', 10) \g /dev/null
:count
SELECT t.verdict('bob@example.org', NULL), audit.should_block_login('bob@example.org', NULL);
SELECT audit.set_context(client_ip => '203.0.113.77');
SELECT t.verdict('bob@example.org', NULL);
SELECT audit.set_context();
-- success: earlier failures do not count, later ones do; an unknown person's success is nobody's
SELECT t.past('login_failed', 'eve@example.org', '203.0.113.30', '10 min', 5) \g /dev/null
SELECT t.past('login_success', 'Eve@example.org', '203.0.113.31', '9 min') \g /dev/null
SELECT t.past('login_failed', 'eve@example.org', '203.0.113.30', '8 min', 2) \g /dev/null
SELECT t.past('login_success', ' ', '203.0.113.30', '1 min') \g /dev/null
:count
SELECT w, t.verdict('eve@example.org', w) FROM unnest('{203.0.113.30,203.0.113.31,203.0.113.32}'::inet[]) w;
-- known from a network or device: its own tries, though the account is under attack
SELECT t.past('login_success', 'kim@example.org', '203.0.113.50', '80 days', 1,
    '{"device_fingerprint": "phone"}') \g /dev/null
SELECT t.past('login_success', 'kim@example.org', '203.0.113.51', '91 days', 1,
    '{"device_fingerprint": "old"}') \g /dev/null
SELECT t.past('login_failed', 'kim@example.org', ('10.0.0.' || i)::inet, '5 min')
    FROM generate_series(1, 20) i \g /dev/null
:count
SELECT address, device, t.verdict('kim@example.org', address, NULL, NULL, device)
    FROM (VALUES (inet '203.0.113.50', NULL), ('203.0.113.51', NULL), ('203.0.113.51', 'phone'),
                 ('203.0.113.51', 'old'), ('203.0.113.51', ' '), ('203.0.113.50', 'phone'), (NULL, NULL),
                     (NULL, 'phone')) v(address, device);
SELECT t.verdict('bob@example.org', '203.0.113.51', NULL, NULL, 'phone') AS of_another_account;
SELECT t.past('login_failed', 'kim@example.org', '203.0.113.50', '4 min', 5) \g /dev/null
:count
SELECT t.verdict('kim@example.org', '203.0.113.50'), t.verdict('kim@example.org', '10.9.9.9', NULL, NULL,
    'phone');
-- a hundred in a day, unless the caller says otherwise
SELECT t.past('login_failed', 'old@example.org', ('10.1.0.' || i)::inet, i * interval '14 min')
    FROM generate_series(1, 99) i \g /dev/null
:count
SELECT t.verdict('old@example.org', '203.0.113.9'), t.verdict('old@example.org', '203.0.113.9', 5);
SELECT t.past('login_failed', 'old@example.org', '10.1.0.200', '23 hours') \g /dev/null
:count
SELECT t.verdict('old@example.org', '203.0.113.9'), t.verdict('old@example.org', '203.0.113.9', 5),
       audit.should_block_login('old@example.org', '203.0.113.9');
SELECT retry_after_seconds / 60 BETWEEN 50 AND 60 FROM audit.check_login('old@example.org', '203.0.113.9');
-- the settings
SET LOCAL audit_guard.login_max_attempts = 100;
SET LOCAL audit_guard.login_window = '24 h';
SELECT t.verdict('old@example.org', '203.0.113.9'), t.verdict('ada@example.org', '203.0.113.9');
RESET audit_guard.login_max_attempts;
RESET audit_guard.login_window;
SET LOCAL audit_guard.login_fold_plus_tags = on;
SELECT audit.should_block_login('ada+x@example.org', NULL), audit.should_block_login('ada+@example.org',
    NULL);
RESET audit_guard.login_fold_plus_tags;
-- what can be written into an email
SELECT length(w), audit.should_block_login(w, '203.0.113.9'), t.verdict(w, '203.0.113.9', NULL, NULL, w)
    FROM unnest(ARRAY['x'' OR true --', '"Ünï ""q"" t"@example.org', repeat('x', 100000), E'\\000', '%s%I',
        '$1']) w;
-- nothing is written, whoever asks
ROLLBACK;
BEGIN;
SET LOCAL ROLE audit_writer;
SELECT blocked FROM audit.check_login('ada@example.org', '203.0.113.9', device_fingerprint => 'x');
SELECT audit.should_block_login('ada@example.org', '203.0.113.9', window_minutes => 15) AS blocked;
SELECT blocked FROM audit_api.check_login('ada@example.org', '203.0.113.9');
RESET ROLE;
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
SET TRANSACTION READ ONLY;
SELECT blocked FROM audit.check_login('ada@example.org', '203.0.113.9');
ROLLBACK;
-- refused
BEGIN;
CREATE ROLE regress_gate;
GRANT audit_writer TO regress_gate;
SET LOCAL ROLE regress_gate;
SELECT w, e.code, e.message, e.hint
    FROM unnest(ARRAY['0', '101', 'NULL', '-1', '5, 0', '5, 1441', '5, NULL', '2147483647, 2147483647']) w,
        LATERAL t.try(format('SELECT audit.should_block_login(%L, %L, %s)', 'ada@example.org',
            '203.0.113.9', w)) e;
SELECT w, e.code, e.message, e.hint
    FROM unnest(ARRAY['0', '101', 'NULL, 0', 'NULL, 1441', '1', 'NULL, 1440']) w,
        LATERAL t.try(format('SELECT audit.check_login(%L, %L, %s)', 'ada@example.org', '203.0.113.9', w)) e;
SELECT code, message FROM t.try($$SELECT audit.should_block_login('ada@example.org', 'SECRET')$$);
SELECT w, e.code, e.message FROM unnest(ARRAY['login_counters', 'login_networks', 'login_attempts',
    'login_rate',
    'login_allowlist']) w, LATERAL t.try(format('SELECT * FROM audit.%I', w)) e;
SELECT w, e.code, e.message FROM unnest(ARRAY['_login_state(NULL, NULL, NULL, 5, 15, now())',
    '_account_key(''x'')',
    '_is_allowed(NULL, now())', '_count_failure(NULL, NULL, now())', '_sweep_logins(1)',
    'unlock_login(NULL, NULL)', 'rebuild_login_counters()', '_count_success(NULL, NULL, NULL, now())']) w,
    LATERAL t.try(format('SELECT audit.%s', w)) e;
SET LOCAL ROLE regress_app;
SELECT w, e.code, e.message FROM unnest(ARRAY['should_block_login(NULL, NULL)', 'check_login(NULL, NULL)',
    'begin_login_attempt(NULL, NULL)', 'finish_login_attempt(NULL, true)']) w,
    LATERAL t.try(format('SELECT audit.%s', w)) e;
SET LOCAL ROLE regress_reader;
SELECT code, message FROM t.try($$SELECT audit.check_login('ada@example.org', NULL)$$);
SELECT count(*) FROM audit.login_allowlist;
ROLLBACK;
