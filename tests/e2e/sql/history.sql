-- A database with history: tables of all sorts tracked with every option, changes captured, and rows of
-- months gone by and far ahead, so that edge leaves and several months hold something.
-- Who may call: loaded by the dump tests as superuser.
-- Relies on: the extension, nothing tracked yet.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'App user') THEN
        CREATE ROLE "App user";
    END IF;
END $$;
CREATE SCHEMA app AUTHORIZATION "App user";
CREATE TABLE app."Ünusual ""table""" (
    "Nr" int, kind text, masked text, excluded text, community_id int, PRIMARY KEY ("Nr", kind)
);
CREATE TABLE app.plain (v text);
CREATE TABLE app."a name of sixty-three bytes, which leaves no room for triggers" (
    id bigint PRIMARY KEY, v jsonb
);
CREATE TABLE app.stock (region text, id int, v numeric, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE app.stock_eu PARTITION OF app.stock FOR VALUES IN ('eu');
CREATE TABLE app.stock_rest PARTITION OF app.stock DEFAULT PARTITION BY RANGE (id);
CREATE TABLE app.stock_rest_1 PARTITION OF app.stock_rest FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE app.stock_rest_2 PARTITION OF app.stock_rest FOR VALUES FROM (100) TO (MAXVALUE);
-- Numbers of columns change in a dump when one was dropped, and names when one was renamed.
CREATE TABLE app.renamed (id int PRIMARY KEY, gone int, secret text, pin text, note text);
ALTER TABLE app.renamed DROP COLUMN gone;
CREATE TABLE app.swapped (id int PRIMARY KEY, one text, dropped text, other text);
ALTER TABLE app.plain OWNER TO "App user";

SELECT audit.enable_tracking('app."Ünusual ""table"""', exclude => '{excluded}', mask => '{masked}',
    phi => true);
SELECT audit.enable_tracking('app.plain', log_truncated_rows => true);
SELECT audit.enable_tracking('app."a name of sixty-three bytes, which leaves no room for triggers"',
    detail => 'changed');
SELECT audit.enable_tracking('app.stock', detail => 'delta');
SELECT audit.enable_tracking('app.renamed', exclude => '{secret}', mask => '{pin}');
ALTER TABLE app.renamed RENAME secret TO token;
ALTER TABLE app.renamed RENAME pin TO code;
SELECT audit.enable_tracking('app.swapped', exclude => '{one,dropped}');
ALTER TABLE app.swapped RENAME one TO aside;
ALTER TABLE app.swapped RENAME other TO one;
ALTER TABLE app.swapped RENAME aside TO other;
ALTER TABLE app.swapped DROP COLUMN dropped;
CREATE TABLE app.once (id int);
SELECT audit.enable_tracking('app.once');
SELECT audit.disable_tracking('app.once', reason => 'no longer "needed"
in two lines');

CREATE SCHEMA later;
SELECT audit.enable_tracking_schema('later');
CREATE TABLE later.first (id int);

BEGIN;
SELECT audit.set_context(actor_id => 'ada \ "l"'::text, session_id => '00000000-0000-4000-8000-000000000001',
    client_ip => '2001:db8::1', tenant_id => 't', context => '{"app": {"ticket": "HD-88\n\t\\"}}');
INSERT INTO app."Ünusual ""table""" VALUES (1, 'a', 'm', 'x', 7), (2, E'tab\tline\n\\.', 'm', 'x', NULL);
UPDATE app."Ünusual ""table""" SET masked = 'n', kind = kind || '' WHERE "Nr" = 1;
UPDATE app."Ünusual ""table""" SET "Nr" = 3, excluded = 'y' WHERE "Nr" = 2;
COMMIT;
INSERT INTO app.plain SELECT E'\\' || i FROM generate_series(1, 50) AS i;
TRUNCATE app.plain;
INSERT INTO app.renamed VALUES (1, 'hidden', 'secret', 'shown');
INSERT INTO app.plain VALUES (NULL), (''), ('\N');
INSERT INTO app."a name of sixty-three bytes, which leaves no room for triggers"
SELECT i, jsonb_build_object('n', 1.10, 'long', repeat(md5(i::text), 300)) FROM generate_series(1, 20) AS i;
UPDATE app."a name of sixty-three bytes, which leaves no room for triggers" SET v = v || '{"more": null}';
INSERT INTO app.stock SELECT r, i, i * 1.50 FROM unnest('{eu,us,asia}'::text[]) AS r,
    generate_series(1, 3) AS i;
UPDATE app.stock SET id = id + 200 WHERE region = 'us';
UPDATE app.stock SET region = 'eu', id = 33 WHERE region = 'asia' AND id > 2;
DELETE FROM app.stock WHERE v = 1.50 AND region <> 'eu';

-- Rows of other months, as a restore would bring them; both edges of the months get some.
BEGIN;
SELECT audit.begin_restore('rows of other months');
INSERT INTO audit.audit_log (logged_at, transaction_id, operation, table_schema, table_name, record_id,
    new_record,
                             actor_role, login_role, context)
SELECT at, 3, 'INSERT', 'app', 'plain', NULL, jsonb_build_object('v', at), 'postgres', 'postgres',
    '{"imported_from": "e2e"}'
FROM unnest(ARRAY['1999-12-31 23:59:59.999999+00']::timestamptz[]
            || ARRAY(SELECT date_trunc('month', now()) + make_interval(months => m)
                FROM generate_series(-1, 6) AS m
                     WHERE m <> 0)
            || ARRAY['2099-01-01 00:00+00']::timestamptz[]) AS at;
COMMIT;

-- Logins in every state, sessions, and security events of other months, both edges included; one is erased. In
-- several transactions: whoever loads it later may be in one that has the number of one of them.
BEGIN;
SELECT audit.log_security_event('data_export', 'all of "it"',
    session_id => '00000000-0000-4000-8000-000000000001', metadata => '{"rows": 1.10}',
    severity => 'critical', tenant_id => 't', entity_type => 'table', entity_id => 'app.plain',
    email => 'Ada@Example.org', ip_address => '2001:db8::1', user_agent => 'a "browser"',
    subject => '00000000-0000-4000-8000-00000000000a');
COMMIT;
BEGIN;
SELECT audit.log_security_event('login_failed', email => 'guessed@example.org',
    ip_address => '203.0.113.0'::inet + i)
FROM generate_series(1, 7) AS i;
SELECT audit.log_security_event('login_failed', email => 'p' || i || '@example.org',
    ip_address => '198.51.100.9')
FROM generate_series(1, 12) AS i;
SELECT audit.log_security_event('login_failed', ip_address => '2001:db8:7::9');
COMMIT;
SELECT audit.finish_login_attempt(b.attempt_id, true, subject => 'ada')
FROM audit.begin_login_attempt('ada@example.org', '192.0.2.1', 'phone') AS b;
SELECT audit.finish_login_attempt(b.attempt_id, false)
FROM audit.begin_login_attempt('ada@example.org', '192.0.2.2', 'phone') AS b;
SELECT audit.begin_login_attempt('open@example.org', '192.0.2.3');
SELECT audit.begin_login_attempt('guessed@example.org', '192.0.2.4');
SELECT audit.allow_network('10.1.0.0/16', 'the "office"', '2099-01-01 00:00+00');
SELECT audit.create_user_session(ip_address => '192.0.2.1', subject => 'ada', tenant_id => 't',
    token_hash => sha256('secret'), device_info => '{"device_fingerprint": "phone", "device_type": "mobile",
        "latitude": 52.37, "longitude": 4.9, "city": "Amsterdam"}');
SELECT audit.create_user_session(user_id => '00000000-0000-4000-8000-00000000000b',
    ip_address => '2001:db8::2', profile => 'aal3');
SELECT audit.create_user_session(ip_address => '192.0.2.5', subject => 'gone');
SELECT audit.terminate_all_sessions(subject => 'gone', reason => 'security');
SELECT audit.log_security_event('permission_denied', 'a name', subject => 'erased',
    email => 'erased@example.org', ip_address => '192.0.2.6', user_agent => 'x', entity_id => 'x',
    metadata => '{"email": "erased@example.org"}');
SELECT audit.redact_subject('erased', '{description,subject,email,ip_address,user_agent,entity_id,metadata}',
    'GDPR 17(1)(b)', 'T-1');
BEGIN;
SELECT audit.begin_restore('security events of other months');
INSERT INTO audit.security_events (logged_at, event_type, outcome, description, email, ip_address, actor_role,
                                   login_role, transaction_id)
SELECT at, 'login_failed', 'failure', 'imported', 'old@example.org', '192.0.2.7', 'postgres', 'postgres', 3
FROM unnest(ARRAY['1999-12-31 23:59:59.999999+00', now() - interval '2 months', '2099-01-01 00:00+00'])
    AS at (at);
COMMIT;
