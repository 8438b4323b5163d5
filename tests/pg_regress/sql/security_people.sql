-- People behind one database role: whose claims count, what they make of somebody, and what each one sees.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
SELECT current_user AS me, current_database() AS here \gset
GRANT USAGE ON SCHEMA t TO PUBLIC;
-- The gateway may become regress_member, as everybody who signed in, and has no right of its own. regress_plain
-- logs in by itself and may become the same role.
CREATE ROLE regress_gateway LOGIN NOINHERIT;
CREATE ROLE regress_plain LOGIN;
CREATE ROLE regress_member;
CREATE ROLE regress_idle NOINHERIT;
GRANT regress_member TO regress_gateway, regress_plain;
GRANT audit_reader TO regress_idle;
GRANT SELECT ON audit.security_events, audit.user_sessions TO regress_member, regress_idle;
ALTER DATABASE :here SET audit_guard.trusted_logins = 'other, regress_gateway';
\c - :me
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- Two tenants, and two people in the first.
CREATE FUNCTION t.as_person(claims jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT set_config('request.jwt.claims', claims::text, false) $$;
CREATE FUNCTION t.sees() RETURNS TABLE (events text, sessions text) LANGUAGE sql AS $$
    SELECT (SELECT string_agg(coalesce(e.subject, '-') || '@' || coalesce(e.tenant_id, '-'), ' ' ORDER BY number)
            FROM audit.security_events e WHERE e.description = 'people'),
           (SELECT string_agg(s.subject || '@' || coalesce(s.tenant_id, '-'), ' ' ORDER BY s.created_at)
            FROM audit.user_sessions s WHERE s.app_version = 'people') $$;
CREATE FUNCTION t.roles_here() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(r.role, ' ' ORDER BY r.place), 'none')
    FROM unnest('{admin,writer,reader,reviewer,officer,tenant_admin}'::text[]) WITH ORDINALITY r(role, place)
    WHERE audit.has_role(r.role) $$;
SELECT count(audit.log_security_event('logout', 'people', subject => p.subject, tenant_id => p.tenant)),
       count(audit.create_user_session(subject => p.subject, tenant_id => p.tenant, ip_address => '203.0.113.9',
                                       device_info => '{"app_version": "people"}'))
FROM (VALUES ('ada', 't1'), ('bob', 't1'), ('cid', 't2'), ('dot', NULL)) p(subject, tenant);
SELECT count(audit.log_security_event('suspicious_activity', 'people'));
-- by membership
SELECT t.roles_here();
SELECT * FROM t.sees();
SET ROLE regress_reader;
SELECT t.roles_here();
SELECT * FROM t.sees();
SET ROLE regress_owner;
SELECT t.roles_here();
SET ROLE regress_app;
SELECT t.roles_here();
:try ('SELECT * FROM t.sees()') f;
-- a membership that is not inherited counts after SET ROLE only, as for the table
SET ROLE regress_idle;
SELECT t.roles_here();
SELECT * FROM t.sees();
RESET ROLE;
-- behind the gateway: nobody, a person, an admin of a tenant, an auditor
\c - regress_gateway
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET ROLE regress_member;
SELECT t.roles_here();
SELECT * FROM t.sees();
SELECT t.as_person('{"sub": "ada", "app_metadata": {"tenant_id": "t1"}}')
    IS NOT NULL AS person;
SELECT t.roles_here();
SELECT * FROM t.sees();
SELECT t.as_person('{"sub": "bob", "app_metadata": {"tenant_id": "t1", "role": "admin"}}')
    IS NOT NULL AS person;
SELECT t.roles_here();
SELECT * FROM t.sees();
SELECT t.as_person('{"sub": "cid", "app_metadata": {"community_id": "t2", "role": "community_admin"}}')
    IS NOT NULL AS person;
SELECT t.roles_here();
SELECT * FROM t.sees();
-- an admin of no tenant sees no tenant's rows, and none without one
SELECT t.as_person('{"sub": "cid", "app_metadata": {"role": "admin"}}')
    IS NOT NULL AS person;
SELECT * FROM t.sees();
SELECT t.as_person('{"app_metadata": {"role": "super_admin"}}')
    IS NOT NULL AS person;
SELECT t.roles_here();
SELECT * FROM t.sees();
SELECT t.as_person('{"sub": "eve", "app_metadata": {"audit_roles": ["reader", "officer", "king", 7, null]}}')
    IS NOT NULL AS person;
SELECT t.roles_here();
SELECT * FROM t.sees();
-- what people write about themselves never counts, nor does what is not in its place or its form
SELECT c.claims, t.roles_here() FROM (VALUES
    ('{"user_metadata": {"role": "super_admin", "audit_roles": ["reader"]}}'),
    ('{"role": "super_admin", "audit_roles": ["reader"]}'), ('{"app_metadata": {"audit_roles": "reader"}}'),
    ('{"app_metadata": {"audit_roles": {"reader": true}}}'),
    ('{"app_metadata": {"audit_roles": [["reader"]]}}'),
    ('{"app_metadata": {"audit_roles": ["READER", " reader"]}}'),
    ('{"app_metadata": ["audit_roles", "reader"]}'),
    ('{"app_metadata": {"role": {"super_admin": 1}}}'), ('{"app_metadata": {"role": "Super_Admin"}}'),
    ('{"app_metadata": {"role": ["user", "super_admin"]}}'), ('{"app_metadata": null}'),
    ('[{"app_metadata": {"role": "super_admin"}}]'), ('"reader"'), ('7'), ('nonsense'), ('')) c(claims)
CROSS JOIN LATERAL (SELECT set_config('request.jwt.claims', c.claims, false)) s(done)
WHERE s.done IS NOT NULL;
-- the older form, one setting for each claim, says who it is
SELECT set_config('request.jwt.claims', '', false), set_config('request.jwt.claim.sub', 'bob', false);
SELECT * FROM t.sees();
-- a declaration is never proof
SELECT t.as_person('{"sub": "ada"}')
    IS NOT NULL AS person;
BEGIN;
SELECT audit.set_context(actor_id => 'bob', tenant_id => 't2');
SELECT * FROM t.sees();
ROLLBACK;
-- a uuid is the same person in capitals
SELECT t.as_person('{"sub": "AAAAAAAA-1111-4111-8111-111111111111"}') IS NOT NULL AS person, audit._person();
-- the gateway itself, without a role of people, has claims but no right
RESET ROLE;
SELECT t.as_person('{"sub": "ada", "app_metadata": {"role": "super_admin"}}')
    IS NOT NULL AS person;
:try ('SELECT * FROM t.sees()') f;
-- somebody who logs in directly can claim what they like
\c - regress_plain
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET ROLE regress_member;
SELECT t.as_person(
    '{"sub": "ada", "app_metadata": {"tenant_id": "t1", "role": "super_admin", "audit_roles": ["reader"]}}')
    IS NOT NULL AS person;
SELECT t.roles_here(), audit._claims(), audit._person(), audit._own_tenant();
SELECT * FROM t.sees();
:try ($$SET audit_guard.trusted_logins = 'regress_plain'$$) f;
:try ($$SET audit_guard.role_claim_map = 'sub: ada=reader'$$) f;
:try ($$SET audit_guard.tenant_claims = 'sub'$$) f;
:try ('SELECT audit.has_role(NULL)') f;
:try ($$SELECT audit.has_role('king')$$) f;
:try ($$SELECT audit.has_role('audit_reader')$$) f;
-- other claims, as the installation has them
\c - :me
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT m.map, audit._claimed_roles(
    '{"https://example.org/x": {"kind": "boss", "n": 7}, "groups": ["a,b", "org:admin", "x=y"], "sub": "ada"}',
    m.map)
FROM (VALUES ('"https://example.org/x".kind: boss=reader'),
    ('groups: org:admin=officer, x=y=admin; sub: ada = reader'),
    ('"https://example.org/x".n:7=writer'), ('groups: org:admin=king'), ('groups: org:admin'), ('groups'),
    (''),
    (':=reader'), ('sub: =reader'), ('nowhere: ada=reader'), (' ; ;"": ada=reader'), ('sub: ada=reader,'),
    ('"sub: ada=reader'), ('sub.x: ada=reader'), ('groups.0: a,b=reader')) m(map);
SELECT p.paths, string_agg(c.path::text, ' ' ORDER BY c.path) AS found
FROM (VALUES ('a.b, c'), ('"x.y, ""z"".w"."b c"'), (' , .a. ,'), ('')) p(paths)
LEFT JOIN LATERAL audit._claim_paths(p.paths) c(path) ON true GROUP BY p.paths ORDER BY p.paths COLLATE "C";
-- in a policy the questions are asked once for a query; a reader, whose answer is known, is not asked
CREATE FUNCTION t.questions() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) SELECT FROM audit.security_events WHERE logged_at > ''infinity''' INTO plan;
    RETURN (SELECT count(*) FROM regexp_matches(plan::text, '"InitPlan"', 'g'));
END $$;
SELECT t.questions();
SET ROLE regress_reader;
SELECT t.questions();
SET ROLE regress_member;
SELECT t.questions();
RESET ROLE;
DROP FUNCTION t.questions();
ALTER DATABASE :here RESET audit_guard.trusted_logins;
DROP FUNCTION t.as_person(jsonb), t.sees(), t.roles_here();
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
REVOKE ALL ON audit.security_events, audit.user_sessions FROM regress_member, regress_idle;
ALTER EVENT TRIGGER audit_guard_shield ENABLE ALWAYS;
REVOKE audit_reader FROM regress_idle;
DROP ROLE regress_gateway, regress_plain, regress_member, regress_idle;
