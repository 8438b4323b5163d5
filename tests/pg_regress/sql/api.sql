-- The schema for PostgREST: it offers what schema audit has, to the same roles, and requests run through it.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
SET client_min_messages = warning;
-- no public function is forgotten, except those that stand here, trigger functions, and signatures that name
-- no type (of such twins the one that takes text is offered)
CREATE TEMP VIEW originals AS SELECT p.* FROM pg_proc p
    WHERE p.pronamespace = 'audit'::regnamespace AND NOT p.proname ^@ '_'
    AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    AND p.proname NOT IN ('table_as_of', 'install_compat', 'remove_compat')
    AND NOT 'anyelement'::regtype = ANY (p.proargtypes);
CREATE TEMP VIEW offered AS SELECT p.* FROM pg_proc p WHERE p.pronamespace = 'audit_api'::regnamespace;
SELECT o.oid::regprocedure AS missing FROM originals o
    WHERE NOT EXISTS (SELECT FROM offered f WHERE f.proname = o.proname) ORDER BY 1::text;
SELECT f.oid::regprocedure AS without_original FROM offered f
    WHERE NOT EXISTS (SELECT FROM originals o WHERE o.proname = f.proname) ORDER BY 1::text;
SELECT proname AS more_than_one FROM offered GROUP BY proname HAVING count(*) > 1;
-- the same arguments, result, volatility, owner, rights and comment; no rights but the caller's
CREATE FUNCTION pg_temp.shape(f oid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(E'\n', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.provolatile,
                     p.proparallel, p.proowner::regrole, obj_description(p.oid, 'pg_proc'),
                     (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public')
                                        || ' ' || a.privilege_type, ',' ORDER BY a.grantee)
                      FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a))
    FROM pg_proc p WHERE p.oid = f
$$;
SELECT f.proname AS differs, pg_temp.shape(o.oid), pg_temp.shape(f.oid)
    FROM originals o JOIN offered f USING (proname) WHERE pg_temp.shape(o.oid) <> pg_temp.shape(f.oid);
SELECT f.proname AS unsafe FROM offered f WHERE f.prosecdef OR f.prosqlbody IS NULL;
SELECT count(*) > 8 AS some FROM offered;
-- the view, column by column
SELECT count(*) AS columns, count(*) FILTER (WHERE a.attname = o.attname AND a.atttypid = o.atttypid
        AND col_description(a.attrelid, a.attnum) = col_description(o.attrelid, o.attnum)) AS the_same
    FROM pg_attribute a FULL JOIN (SELECT * FROM pg_attribute WHERE attrelid = 'audit.changes'::regclass
        AND attnum > 0) o USING (attnum)
    WHERE a.attrelid = 'audit_api.changes'::regclass AND attnum > 0;
SELECT c.relname, c.reloptions, c.relowner::regrole, obj_description(c.oid, 'pg_class') AS comment,
       (SELECT string_agg(a.grantee::regrole || ' ' || a.privilege_type, ',')
        FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner) AS who
    FROM pg_class c WHERE c.relnamespace = 'audit_api'::regnamespace;
SELECT coalesce(nullif(a.grantee, 0)::regrole::text, 'public') AS who, a.privilege_type
    FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'audit_api' AND a.grantee <> n.nspowner;
-- a request: one login for everybody, who becomes somebody for one transaction
CREATE SCHEMA api_t;
CREATE TABLE api_t.orders (id int PRIMARY KEY, v text, tenant_id text);
CREATE TABLE api_t."Ünï ""q"" t" (a int, b text, PRIMARY KEY (a, b));
ALTER TABLE api_t.orders OWNER TO regress_owner;
GRANT USAGE ON SCHEMA api_t TO PUBLIC;
CREATE ROLE regress_authenticator LOGIN NOINHERIT;
CREATE ROLE regress_anon;
CREATE ROLE regress_user;
GRANT regress_anon, regress_user, regress_reader, regress_owner TO regress_authenticator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA api_t TO regress_user;
SELECT audit.enable_tracking('api_t."Ünï ""q"" t"');
SELECT current_user AS me \gset
\c - regress_authenticator
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- an owner who is an admin switches tracking on
BEGIN;
SET LOCAL ROLE regress_owner;
SELECT audit_api.enable_tracking(target => 'api_t.orders', exclude => '{}');
COMMIT;
-- a person writes, and says more about the request than the token does
BEGIN;
SET LOCAL ROLE regress_user;
SELECT set_config('request.jwt.claims', '{"sub": "ada", "app_metadata": {"tenant_id": "t1"}}', true)
    IS NOT NULL AS ok;
SELECT set_config('request.headers', '{"x-forwarded-for": "203.0.113.9", "user-agent": "app/1"}', true)
    IS NOT NULL AS ok;
INSERT INTO api_t.orders (id, v) VALUES (1, 'a');
SELECT audit_api.set_context(context => '{"app": {"ticket": "HD-88"}}');
UPDATE api_t.orders SET v = 'b';
INSERT INTO api_t."Ünï ""q"" t" VALUES (7, 'x');
SELECT actor_id, actor_source, login_role, actor_role, tenant_id, client_ip FROM audit_api.current_context();
COMMIT;
-- a reader asks; the arguments arrive as JSON
BEGIN;
SET LOCAL ROLE regress_reader;
SELECT set_config('request.jwt.claims', '{"sub": "grace"}', true) IS NOT NULL AS ok;
SELECT operation, changed_fields, old_values, new_values, actor_id, actor_role, client_ip,
       context -> 'app' AS app
    FROM audit_api.record_history(target => 'api_t.orders', record_id => '1');
SELECT h.operation, h.record_id, h.new_values
    FROM json_to_record('{"target": "api_t.\"Ünï \"\"q\"\" t\"", "record_id": "[7,\"x\"]", "max_rows": 5}')
             a(target regclass, record_id text, max_rows integer),
         LATERAL audit_api.record_history(target := a.target, record_id := a.record_id,
                                          max_rows := a.max_rows) h;
SELECT operation, new_values FROM audit_api.changes WHERE table_name = 'orders' AND changed_fields = '{v}';
SELECT transaction_id AS xid FROM audit_api.changes WHERE table_schema = 'api_t' LIMIT 1 \gset
SELECT count(*) FROM audit_api.transaction_changes(transaction_id => :xid);
SELECT count(*) > 0 AS checks FROM audit_api.health();
SELECT audit_api.version() = audit.version() AS same_version;
-- errors are those of the original
:try ($$SELECT * FROM audit_api.record_history('api_t.nothing', '1')$$) f;
:try ($$SELECT * FROM audit_api.record_history('api_t.orders', NULL)$$) f;
:try ($$SELECT * FROM audit_api.record_history('pg_class', '1')$$) f;
:try ('DELETE FROM audit_api.changes') f;
COMMIT;
-- outside a transaction block the warning is that of the original
SET client_min_messages = notice;
SELECT audit_api.set_context(actor_id => 'x');
SET client_min_messages = warning;
-- without our roles: nothing but what is for everybody
BEGIN;
SET LOCAL ROLE regress_anon;
:try ($$SELECT * FROM audit_api.record_history('api_t.orders', '1')$$) f;
:try ('SELECT * FROM audit_api.changes') f;
:try ('SELECT * FROM audit_api.transaction_changes(1)') f;
:try ($$SELECT audit_api.enable_tracking('api_t.orders')$$) f;
:try ($$SELECT audit_api.disable_tracking('api_t.orders')$$) f;
:try ('SELECT * FROM audit_api.maintain_partitions()') f;
:try ('SELECT count(*) FROM audit_api.current_context()') f;
:try ('CREATE TABLE audit_api.mine ()') f;
:try ('CREATE FUNCTION audit_api.version(text) RETURNS text LANGUAGE sql AS $x$SELECT 1::text$x$') f;
COMMIT;
-- an admin who does not own the table is refused as by the original
BEGIN;
SET LOCAL ROLE regress_owner;
SELECT f.code, f.message FROM t.try($$SELECT audit_api.enable_tracking('api_t."Ünï ""q"" t"')$$) f;
COMMIT;
-- names that a session puts before ours change nothing: bodies hold what they call by its identity
BEGIN;
SET LOCAL ROLE regress_reader;
CREATE TEMP TABLE audit_log (id int);
SET LOCAL search_path = pg_temp, api_t;
SELECT count(*) FROM audit_api.record_history('orders', '1');
ROLLBACK;
\c - :me
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP SCHEMA api_t CASCADE;
DROP ROLE regress_authenticator, regress_anon, regress_user;
-- the schema is made with the extension and goes with it; in a database of its own
SELECT current_database() AS here \gset
CREATE DATABASE regress_api TEMPLATE template0;
ALTER DATABASE regress_api SET client_min_messages = warning;
\c regress_api
\set SHOW_CONTEXT never
CREATE FUNCTION public.install(OUT code text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    CREATE EXTENSION audit_guard;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END $$;
CREATE SCHEMA audit_api;
CREATE TABLE audit_api.mine (id int);
SELECT * FROM install();
DROP TABLE audit_api.mine;
CREATE FUNCTION audit_api.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT * FROM install();
DROP FUNCTION audit_api.f();
-- an empty one is taken over: rights, owner and default privileges that somebody prepared are gone
ALTER SCHEMA audit_api OWNER TO regress_app;
GRANT ALL ON SCHEMA audit_api TO PUBLIC, regress_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA audit_api GRANT ALL ON FUNCTIONS TO regress_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA audit_api GRANT ALL ON TABLES TO regress_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_app;
CREATE EXTENSION audit_guard;
SELECT n.nspname, n.nspowner = current_user::regrole AS mine,
       (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || ' ' || a.privilege_type,
                          ',' ORDER BY a.grantee, a.privilege_type)
        FROM aclexplode(n.nspacl) a WHERE a.grantee <> n.nspowner) AS who
    FROM pg_namespace n WHERE n.nspname IN ('audit', 'audit_api') ORDER BY 1;
SELECT p.oid::regprocedure AS opened FROM pg_proc p, aclexplode(p.proacl) a
    WHERE p.pronamespace::regnamespace::text IN ('audit', 'audit_api') AND a.grantee = 'regress_app'::regrole;
SELECT c.oid::regclass AS opened FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.relnamespace::regnamespace::text IN ('audit', 'audit_api') AND a.grantee = 'regress_app'::regrole;
SELECT count(*) AS default_privileges FROM pg_default_acl WHERE defaclnamespace <> 0;
-- an original that is offered cannot be dropped alone
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER EXTENSION audit_guard DROP FUNCTION audit.version();
DO $$ BEGIN DROP FUNCTION audit.version();
EXCEPTION WHEN dependent_objects_still_exist THEN RAISE WARNING '%', SQLSTATE; END $$;
ALTER EXTENSION audit_guard ADD FUNCTION audit.version();
DROP EXTENSION audit_guard CASCADE;
SELECT to_regnamespace('audit_api') IS NULL AS gone;
-- and again
CREATE EXTENSION audit_guard;
SELECT count(*) > 8 AS some FROM pg_proc WHERE pronamespace = 'audit_api'::regnamespace;
\c :here
DROP DATABASE regress_api;
