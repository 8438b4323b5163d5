-- Purpose: a ledger with rows in every stream, in several seals: what tests of tampering begin with.
-- Who may call: loaded by those tests as superuser, into a new database.
-- Relies on: the extension; whoever loads it seals where it says so.

CREATE SCHEMA app;
CREATE TABLE app.visits (id int PRIMARY KEY, patient text, email text, note jsonb);
SELECT audit.enable_tracking('app.visits');
CREATE TABLE app.consents (id int PRIMARY KEY, subject text, created_at timestamptz NOT NULL DEFAULT now());
SELECT audit.protect('app.consents', '2 years 3 mons 10 days');
SELECT audit.seal();
-- Every column has a value somewhere.
SELECT set_config('request.jwt.claims', '{"sub": "u-1"}', false);
BEGIN;
SELECT audit.set_context(actor_id => 'nurse 7'::text, tenant_id => 'ward a', phi_accessed => true,
                         session_id => 'a3f1c2d4-0000-4000-8000-00000000000a'::uuid,
                         client_ip => '10.0.3.77'::inet, context => '{"why": "round", "n": 1}'::jsonb);
INSERT INTO app.visits SELECT i, 'p' || i, 'e' || i || '@example.org', '{"a": 1, "b": [1, 2]}'
FROM generate_series(1, 6) AS i;
UPDATE app.visits SET email = 'x', note = '{"a": 1.0}' WHERE id = 2;
UPDATE app.visits SET id = 60 WHERE id = 6;
DELETE FROM app.visits WHERE id = 5;
COMMIT;
SELECT audit.place_hold('app.consents', 'litigation', record_ids => '{1,2}');
SELECT audit.place_hold('app.consents', 'inquiry', since => now() - interval '1 year',
                        until => now() + interval '1 year');
SELECT audit.place_hold('app.consents', 'person', subject => 'p1');
SELECT audit.seal();
SELECT audit.release_hold(1, 'settled');
BEGIN;
SELECT audit.begin_restore('attempts of before');
INSERT INTO audit.denied_attempts (attempted_at, layer, command, object, actor_id, actor_role, login_role,
                                   client_ip, application_name, lost_before, transaction_id)
SELECT now(), 'trigger', 'DELETE', 'app.consents', 'u' || i, 'r', 'l', '10.0.0.1', 'psql', i,
       pg_current_xact_id()::text::bigint
FROM generate_series(1, 3) AS i;
COMMIT;
INSERT INTO app.visits VALUES (7, NULL, NULL, NULL);
TRUNCATE app.visits;
SELECT audit.log_security_event('data_export', 'all of it',
    session_id => 'a3f1c2d4-0000-4000-8000-00000000000b', metadata => '{"n": 1, "why": "round"}',
    severity => 'warning', tenant_id => 'ward a', entity_type => 'table', entity_id => 'app.visits',
    email => 'e1@example.org', ip_address => '10.0.3.77', user_agent => 'a browser',
    subject => 'a3f1c2d4-0000-4000-8000-00000000000c');
SELECT audit.log_security_event('login_failed', email => 'e' || i || '@example.org',
    ip_address => '10.0.3.78')
FROM generate_series(1, 3) AS i;
SELECT audit.create_user_session(subject => 'p1', ip_address => '10.0.3.77');
SELECT audit.seal();
INSERT INTO app.visits SELECT i, 'p' || i, 'e' || i || '@example.org', '{"a": {"b": "c"}}'
FROM generate_series(10, 14) AS i;
SELECT audit.seal();
-- Enough for a subtree of 256 leaves.
INSERT INTO app.visits SELECT i, 'p' || i, NULL, NULL FROM generate_series(100, 330) AS i;
SELECT audit.seal();
