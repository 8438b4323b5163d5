-- What the library does for logins and sessions: keys, times of failures, whose request it is, settings.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
-- one account, however its email is written
SELECT audit._account_key('maria@example.org') AS key, email,
       audit._account_key(email) = audit._account_key('maria@example.org') AS is_same
FROM unnest(ARRAY[' Maria@EXAMPLE.org ', U&'\FF4Daria@example.org', 'maria+x@example.org', ' ', NULL]) email;
SET audit_guard.login_fold_plus_tags = on;
SELECT audit._account_key('maria+x@example.org') = audit._account_key('maria@example.org') AS is_same;
RESET audit_guard.login_fold_plus_tags;
SELECT audit._account_tag(a), audit._pair_key(a, '192.0.2.7'),
       audit._pair_key(a, '2001:db8:1:2::/64') AS pair6, audit._device_key(a, 'Firefox'),
       audit._device_key(a, ' ') AS blank, audit._pair_key(a, NULL) AS nowhere
FROM audit._account_key('maria@example.org') a;
-- one customer, whatever the address
SELECT ip, audit._login_network(ip) FROM unnest(ARRAY['192.0.2.7', '192.0.2.7/8', '::ffff:192.0.2.7',
    '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6/20', '::', NULL]::inet[]) ip;
SET audit_guard.login_ipv6_prefix = 48;
SELECT audit._login_network('2001:db8:1:2:3:4:5:6');
RESET audit_guard.login_ipv6_prefix;
-- times of failures: added in order, taken back, and none that is no time
CREATE FUNCTION t.at(seconds numeric) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS $$
    SELECT timestamptz '2026-11-21 10:00:00+00' + seconds * interval '1 second'
$$;
SELECT audit._add_failure(audit._add_failure(NULL, t.at(1)), t.at(0)) AS plain,
       audit._add_failure(audit._add_failure(NULL, t.at(1), 7), t.at(1), 65535) AS tagged,
       audit._add_failure('\x00ff', t.at(0)) AS unreadable;
SELECT audit._add_failure(NULL, t) AS added, audit._failures_of(ARRAY[t]) AS made,
       audit._failures_in(audit._add_failure(NULL, t.at(0)), NULL, t, 15) AS counted,
       audit._failures_in(audit._add_failure(NULL, t.at(0)), t, t.at(0), 15) AS after_reset
FROM unnest(ARRAY['infinity', '-infinity', '1999-12-31', '2200-01-01', '4713-01-01 BC',
                  NULL]::timestamptz[]) t;
SELECT audit._remove_failure(f, t.at(1)) = audit._add_failure(NULL, t.at(0)) AS one_left,
       audit._remove_failure(f, t.at(2)) = f AS not_there,
       audit._remove_failure(audit._remove_failure(f, t.at(1)), t.at(0)) AS none_left,
       audit._remove_failure(NULL, t.at(0)) AS of_none
FROM audit._failures_of(ARRAY[t.at(1), NULL, t.at(0)]) f;
SELECT audit._failures_of('{}') AS none, audit._failures_of(NULL) AS of_null,
       audit._failures_of(ARRAY[t.at(0), t.at(5)], '{3}') = audit._add_failure(
           audit._add_failure(NULL, t.at(0), 3), t.at(5), 0) AS shorter_tags;
SELECT length(audit._failures_of(array_agg(t.at(i)))) AS kept_100,
       length(audit._failures_of(array_agg(t.at(i)), array_agg(i))) AS kept_200,
       audit._accounts_in(audit._failures_of(array_agg(t.at(i)), array_agg(i % 7)), t.at(250), 15)
           AS accounts,
       audit._newest_failure(audit._failures_of(array_agg(t.at(i)))) = t.at(250) AS newest
FROM generate_series(1, 250) i;
-- a clock that was set back gives nobody more tries, and blocks nobody for ever
SELECT audit._failures_in(audit._add_failure(f, t.at(0)), NULL, t.at(0), 15) AS counted
FROM audit._failures_of(ARRAY(SELECT t.at(0) + interval '3 years' FROM generate_series(1, 100))) f;
-- five failures, then a wait
SELECT second, audit._failures_in(f, NULL, t.at(second), 15) AS failures,
       audit._has_room(f, NULL, t.at(second), 5, 15, false) AS has_room,
       audit._block_began(f, NULL, t.at(second), 5, 15) = t.at(4) AS since_the_fifth,
       audit._retry_after(f, NULL, t.at(second), 5, 15, false) AS retry_after
FROM audit._failures_of(ARRAY(SELECT t.at(i) FROM generate_series(0, 4) i)) f,
     unnest(ARRAY[4, 899.999999, 900]) second;
SELECT audit._has_room(f, NULL, t.at(9), 5, 15, true) AS has_room,
       audit._has_room(f, t.at(0), t.at(9), 5, 15, true) AS after_reset,
       audit._retry_after(f, t.at(0), t.at(9), 5, 15, true) AS retry_after,
       audit._block_began(f, t.at(0), t.at(9), 5, 15) AS began
FROM audit._failures_of(ARRAY(SELECT t.at(i) FROM generate_series(0, 4) i)) f;
SELECT audit._has_room(NULL, NULL, t.at(0), 5, 15, true) AS none,
       audit._has_room(NULL, NULL, NULL, 5, 15, true) AS no_time,
       audit._has_room(NULL, NULL, t.at(0), NULL, 15, NULL) AS no_rule,
       audit._failures_in(NULL, NULL, t.at(0), NULL),
       audit._retry_after(NULL, NULL, t.at(0), 5, 15, NULL), audit._block_began('\x01', NULL, t.at(0), 5, 15);
-- the address of the client: what was declared, or what a trusted proxy says; never the connection's own
SELECT audit._request_ip();
BEGIN;
SET LOCAL request.headers = '{"x-forwarded-for": "6.6.6.6, 198.51.100.7, 2001:db8::7"}';
SELECT audit._request_ip();
SET LOCAL audit_guard.trusted_proxy_count = 2;
SELECT audit._request_ip();
SET LOCAL audit_guard.trusted_proxy_count = 0;
SELECT audit._request_ip();
SELECT audit.set_context(client_ip => '203.0.113.9');
SELECT audit._request_ip();
SET LOCAL request.headers = 'no JSON';
SELECT audit._request_ip();
COMMIT;
SELECT audit._request_ip();
-- claims count only where the login is trusted
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "u1", "app_metadata": {"audit_roles": ["reader"]}}';
SELECT audit._claims();
SELECT set_config('audit_guard.trusted_logins', 'nobody, ' || session_user, true) IS NOT NULL AS trusted;
SELECT audit._claims(), audit._claims() ->> 'sub' AS sub;
SET LOCAL request.jwt.claims = '{"a": "\u0000\u00e9 \ud83d\ude00", "b": 12345678901234567890}';
SELECT audit._claims();
SET LOCAL request.jwt.claims = '["sub"]';
SELECT audit._claims();
SET LOCAL request.jwt.claims = '{"sub": "u1"';
SELECT audit._claims();
SET LOCAL request.jwt.claims = '{"sub": "u1", "n": 1e-50000}';
SELECT audit._claims();
SET LOCAL request.jwt.claims = '';
SET LOCAL request.jwt.claim.sub = 'u"2';
SELECT audit._claims();
SET LOCAL audit_guard.trusted_logins = '';
SELECT audit._claims();
COMMIT;
-- ids that begin with the time
SELECT count(DISTINCT id) AS ids,
       bool_and(substr(id::text, 15, 1) = '7' AND substr(id::text, 20, 1) ~ '[89ab]') AS v7,
       bool_and(abs(extract(epoch FROM clock_timestamp()) * 1000
                    - ('x0000' || left(replace(id::text, '-', ''), 12))::bit(64)::bigint) < 60000)
           AS now
FROM (SELECT audit._event_id() AS id FROM generate_series(1, 100)) i;
-- what the server knows about tables
CREATE TABLE t.parted (id integer PRIMARY KEY) PARTITION BY LIST (id);
SELECT audit._has_leaves('t.parted') AS none_yet, audit._has_leaves('t.parted_pkey') AS index;
CREATE TABLE t.parted_1 PARTITION OF t.parted FOR VALUES IN (1);
SELECT audit._has_leaves('t.parted') AS one, audit._has_leaves('t.parted_1') AS leaf;
DROP TABLE t.parted_1;
SELECT audit._has_leaves('t.parted') AS gone, audit._has_leaves(4000000000::oid::regclass) AS no_table;
CREATE TABLE t.members (id integer PRIMARY KEY, other integer REFERENCES t.members);
SELECT audit._has_triggers('t.members') AS only_references;
SET client_min_messages = warning;
SELECT audit.enable_tracking('t.members');
RESET client_min_messages;
SELECT audit._has_triggers('t.members') AS tracked, audit._has_triggers('t.members_pkey') AS index,
       audit._has_triggers(4000000000::oid::regclass) AS no_table;
DROP TRIGGER audit_members_truncate ON t.members;
SELECT audit._has_triggers('t.members') AS half;
DROP TABLE t.members, t.parted;
-- a person is locked until the transaction ends, by a lock that SQL cannot take
BEGIN;
SELECT audit._lock_person('u1');
SAVEPOINT a;
SELECT audit._lock_person('u1'), audit._lock_person('u2'), audit._lock_person(NULL);
SELECT objsubid, mode, count(*) FROM pg_locks
WHERE locktype = 'advisory' AND pid = pg_backend_pid() GROUP BY 1, 2;
ROLLBACK TO a;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
COMMIT;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
-- the settings: defaults, units, bounds, and nobody else's to change
SELECT name, setting, unit, context,
       coalesce(min_val || ' to ' || max_val, array_to_string(enumvals, ' ')) AS values
FROM pg_settings
WHERE name ~ '^audit_guard\.(login_|session_|trusted_logins|role_claim_map)'
ORDER BY name COLLATE "C";
SELECT audit._login_window(), audit._touch_interval();
SET audit_guard.login_window = '2h';
SET audit_guard.session_touch_interval = '5min';
SELECT audit._login_window(), audit._touch_interval();
RESET audit_guard.login_window;
RESET audit_guard.session_touch_interval;
SELECT code FROM t.try('SET audit_guard.login_max_attempts = 0');
SELECT code FROM t.try('SET audit_guard.login_window = ''2d''');
SELECT * FROM t.try('SET audit_guard.session_profile = ''aal4''');
SET ROLE regress_app;
SELECT * FROM t.try('SET audit_guard.trusted_logins = ''regress_app''');
SELECT * FROM t.try('SET audit_guard.login_max_attempts = 100');
SELECT * FROM t.try('SELECT audit._account_key(''maria@example.org'')');
SELECT * FROM t.try('SELECT audit._lock_person(''u1'')');
RESET ROLE;
DROP FUNCTION t.at;
