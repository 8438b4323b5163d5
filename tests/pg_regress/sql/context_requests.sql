-- The settings a web gateway leaves in a transaction: claims and headers, old and new names, malformed ones.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set who 'SELECT record_id, actor_id, actor_source, tenant_id, session_id, client_ip, context FROM t.who();'
CREATE SCHEMA req;
SET search_path = req;
CREATE TABLE visits (id integer PRIMARY KEY, note text);
SELECT audit.enable_tracking('visits');
SELECT t.mark();
-- claims as one object
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "u-1", "role": "authenticated",
    "session_id": "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000",
    "app_metadata": {"tenant_id": "t-9"}}';
INSERT INTO visits VALUES (1);
COMMIT;
-- claims one by one, as older gateways set them
BEGIN;
SET LOCAL request.jwt.claim.sub = 'u-2';
SET LOCAL request.jwt.claim.session_id = '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001';
INSERT INTO visits VALUES (2);
COMMIT;
-- both: the object wins
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "u-3"}';
SET LOCAL request.jwt.claim.sub = 'u-old';
INSERT INTO visits VALUES (3);
COMMIT;
-- after the transaction the settings are empty strings, which are no claims
INSERT INTO visits VALUES (4);
-- claims that name nobody; a second place for the tenant
BEGIN;
SET LOCAL request.jwt.claims = '{"role": "anon", "app_metadata": {"community_id": 12}}';
INSERT INTO visits VALUES (5);
COMMIT;
:who
-- an explicit declaration wins, and the token's subject stays visible beside it
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "u-1", "session_id": "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000",
    "app_metadata": {"tenant_id": "t-9"}}';
SELECT audit.set_context(actor_id => 'ada', tenant_id => 'north',
    session_id => '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0002');
INSERT INTO visits VALUES (6);
SELECT audit.set_context();
INSERT INTO visits VALUES (7);
-- claims may change within a transaction
SET LOCAL request.jwt.claims = '{"sub": "u-8"}';
INSERT INTO visits VALUES (8);
SAVEPOINT a;
SET LOCAL request.jwt.claims = '{"sub": "u-9"}';
ROLLBACK TO a;
INSERT INTO visits VALUES (9);
COMMIT;
:who
-- headers: agent, request id, the client behind one proxy; method and path
BEGIN;
SET LOCAL request.headers = '{"user-agent": "curl/8", "x-request-id": "r-1",
    "x-forwarded-for": "198.51.100.7",
    "accept": "*/*"}';
SET LOCAL request.method = 'PATCH';
SET LOCAL request.path = '/visits';
INSERT INTO visits VALUES (10);
SELECT audit.set_context(client_ip => '192.0.2.1', context => '{"request_id": "mine"}');
INSERT INTO visits VALUES (11);
COMMIT;
:who
-- proxies: with one trusted proxy the last entry counts, with two the one before it
SET request.headers = '{"x-forwarded-for": "10.9.9.9, 198.51.100.7,2001:db8::5"}';
INSERT INTO visits VALUES (12);
SET audit_guard.trusted_proxy_count = 2;
INSERT INTO visits VALUES (13);
RESET audit_guard.trusted_proxy_count;
SELECT record_id, client_ip, context FROM t.news();
-- malformed text never fails the statement; it is kept
SET request.headers = '{"x-forwarded-for": "not an address"}';
INSERT INTO visits VALUES (14);
SET request.headers = 'nonsense';
INSERT INTO visits VALUES (15);
SET request.headers = '["an", "array"]';
INSERT INTO visits VALUES (16);
SET request.headers = '';
SET request.jwt.claims = '{"sub": "cut';
INSERT INTO visits VALUES (17);
SET request.jwt.claims = '"a string"';
INSERT INTO visits VALUES (18);
SET request.jwt.claims = '{"sub": "u-1", "session_id": "no uuid"}';
INSERT INTO visits VALUES (19);
SET request.jwt.claims = '{"sub": {"an": "object"}, "app_metadata": 7}';
INSERT INTO visits VALUES (20);
SET request.jwt.claims = '{"sub": 4711}';
INSERT INTO visits VALUES (21);
SET request.jwt.claims = '{"sub": null}';
INSERT INTO visits VALUES (22);
SET request.jwt.claims = '{"sub": ""}';
INSERT INTO visits VALUES (23);
SET request.jwt.claims = E'{"sub": "zero \\u0000 byte"}';
INSERT INTO visits VALUES (24);
SET request.jwt.claims = '';
SELECT record_id, actor_id, actor_source, session_id, client_ip, context FROM t.news();
-- long nonsense is cut to 1000 characters; deep nesting is no danger
SELECT set_config('request.jwt.claims', repeat('x', 5000), false) <> '' AS ok;
INSERT INTO visits VALUES (30);
SELECT set_config('request.jwt.claims', repeat('[', 100000), false) <> '' AS ok;
INSERT INTO visits VALUES (31);
SELECT record_id, length(context #>> '{malformed,claims}') FROM t.news();
RESET request.jwt.claims;
SET client_min_messages = warning;
DROP SCHEMA req CASCADE;
