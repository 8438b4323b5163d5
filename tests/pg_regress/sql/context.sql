-- Who, from where, on whose behalf: declared context, claims and headers, roles.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set who 'SELECT * FROM t.who();'
\set now 'SELECT * FROM t.who_now();'
SELECT session_user AS me \gset
CREATE SCHEMA ctx;
SET search_path = ctx;
CREATE TABLE visits (id integer PRIMARY KEY, note text);
CREATE TABLE parcels (id integer PRIMARY KEY, community_id integer);
SELECT audit.enable_tracking('visits');
SELECT audit.enable_tracking('parcels', phi => true);
SELECT t.mark();
-- nothing declared
INSERT INTO visits VALUES (1);
:who
SELECT login_role = :'me' AS login, actor_role = :'me' AS actor FROM audit.current_context();
-- declared: for this transaction only
BEGIN;
SELECT audit.set_context('ada', '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000', '203.0.113.9', 'north', true,
    '{"app": {"ticket": "HD-88"}}');
:now
INSERT INTO visits VALUES (2), (3);
COMMIT;
INSERT INTO visits VALUES (4);
:who
-- calls add up, a later value wins, a call without arguments forgets everything
BEGIN;
SELECT audit.set_context(actor_id => 'ada');
SELECT audit.set_context(tenant_id => 'north', context => '{"app": {"a": 1}, "request_id": "r1"}');
:now
SELECT audit.set_context(actor_id => 'bob', context => '{"request_id": "r2"}');
SELECT actor_id, tenant_id, context ->> 'request_id' AS request FROM audit.current_context();
SELECT audit.set_context();
:now
ROLLBACK;
-- ROLLBACK TO takes a declaration back
BEGIN;
SELECT audit.set_context(actor_id => 'ada');
SAVEPOINT a;
SELECT audit.set_context(actor_id => 'bob', tenant_id => 'south');
INSERT INTO visits VALUES (5);
ROLLBACK TO a;
INSERT INTO visits VALUES (6);
SAVEPOINT b;
SELECT audit.set_context(tenant_id => 'west');
RELEASE b;
INSERT INTO visits VALUES (7);
SAVEPOINT c;
SELECT audit.set_context();
ROLLBACK TO c;
INSERT INTO visits VALUES (8);
COMMIT;
:who
-- a rolled-back transaction leaves nothing behind
BEGIN;
SELECT audit.set_context(actor_id => 'ada');
ROLLBACK;
INSERT INTO visits VALUES (9);
:who
-- outside a transaction block it warns, as 01000, and lasts for its own statement
SELECT audit.set_context(actor_id => 'ada');
\set VERBOSITY sqlstate
SELECT audit.set_context(actor_id => 'ada');
\set VERBOSITY default
INSERT INTO visits VALUES (10);
WITH declared AS MATERIALIZED (SELECT audit.set_context(actor_id => 'eve')) INSERT INTO visits SELECT 11
    FROM declared;
SELECT record_id, actor_id FROM t.news();
-- other types of identity
BEGIN;
SELECT audit.set_context(actor_id => 4711);
SELECT actor_id FROM audit.current_context();
SELECT audit.set_context(4712::bigint, tenant_id => 'x');
SELECT actor_id, tenant_id FROM audit.current_context();
SELECT audit.set_context('0199AAAA-bbbb-7ccc-8ddd-eeeeffff0000'::uuid);
SELECT actor_id FROM audit.current_context();
ROLLBACK;
-- what may not be declared
SELECT * FROM t.try($$SELECT audit.set_context(context => '[1]')$$);
SELECT * FROM t.try($$SELECT audit.set_context(context => '"x"')$$);
SELECT tried.code, key
    FROM unnest(ARRAY['session_role', 'effective_role', 'login_identity', 'jwt_sub', 'malformed',
    'imported_from',
                      'original_id', 'user_agent']) key,
         t.try(format('SELECT audit.set_context(context => %L)', jsonb_build_object(key, 'x'))) tried;
SELECT * FROM t.try($$SELECT audit.set_context(context => '{"jwt_sub": "x"}')$$);
-- tenant: the row's own column wins over a declaration; DELETE takes the deleted row's
BEGIN;
SELECT audit.set_context(tenant_id => 'north');
INSERT INTO parcels VALUES (1, 31), (2, NULL);
UPDATE parcels SET community_id = 32 WHERE id = 1;
DELETE FROM parcels WHERE id = 1;
COMMIT;
SELECT operation, record_id, tenant_id, phi_accessed FROM t.news();
-- SECURITY DEFINER does not hide who asked; SET ROLE and SET SESSION AUTHORIZATION do not hide who logged in
GRANT USAGE ON SCHEMA ctx TO regress_app, regress_owner;
GRANT ALL ON ALL TABLES IN SCHEMA ctx TO regress_app, regress_owner;
CREATE FUNCTION visit(id integer) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = ctx
    AS 'INSERT INTO visits VALUES (visit.id)';
ALTER FUNCTION visit OWNER TO regress_owner;
\set roles 'SELECT * FROM t.roles();'
SELECT visit(20);
SET ROLE regress_app;
INSERT INTO visits VALUES (21);
SELECT visit(22);
RESET ROLE;
SET SESSION AUTHORIZATION regress_app;
INSERT INTO visits VALUES (23);
SELECT visit(24);
RESET SESSION AUTHORIZATION;
:roles
-- a renamed role is logged by its new name at once
SET ROLE regress_app;
INSERT INTO visits VALUES (25);
RESET ROLE;
ALTER ROLE regress_app RENAME TO regress_app_2;
SET ROLE regress_app_2;
INSERT INTO visits VALUES (26);
RESET ROLE;
ALTER ROLE regress_app_2 RENAME TO regress_app;
SELECT record_id, actor_role FROM t.news();
SET client_min_messages = warning;
DROP SCHEMA ctx CASCADE;
