-- Who may do what: a role without any grant of ours, an admin who owns nothing, a reader, an owner.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
SELECT current_user AS me \gset
CREATE SCHEMA priv AUTHORIZATION regress_owner;
CREATE TABLE priv.orders (id integer PRIMARY KEY, v text);
CREATE TABLE priv.others (id integer PRIMARY KEY, v text);
ALTER TABLE priv.orders OWNER TO regress_owner;
GRANT USAGE ON SCHEMA priv TO regress_app, regress_reader;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON priv.orders TO regress_app;
-- an admin who owns the table, logged in as such
\c - regress_owner
\set SHOW_CONTEXT never
SELECT audit.enable_tracking('priv.orders');
-- a plain role writes the table and is logged
\c - regress_app
\set SHOW_CONTEXT never
INSERT INTO priv.orders VALUES (1, 'a'), (2, 'b');
UPDATE priv.orders SET v = 'c' WHERE id = 1;
DELETE FROM priv.orders WHERE id = 1;
BEGIN;
SELECT audit.set_context(actor_id => 'ada');
TRUNCATE priv.orders;
COMMIT;
SELECT login_role, actor_role FROM audit.current_context();
-- it cannot read the log, neither through the parent, nor a leaf, nor the views and functions over it
SELECT t.hot_leaf() AS leaf \gset
:try ('SELECT count(*) FROM audit.audit_log') f;
:try (format('SELECT count(*) FROM %s', :'leaf')) f;
:try ('SELECT count(*) FROM audit.audit_log_future') f;
:try ('SELECT count(*) FROM audit.changes') f;
:try ('SELECT count(*) FROM audit.guard_events') f;
:try ($$SELECT count(*) FROM audit.record_history('priv.orders', '1')$$) f;
:try ('SELECT count(*) FROM audit.transaction_changes(1)') f;
-- nor write it in any way
:try ($$INSERT INTO audit.audit_log
    (transaction_id, operation, table_schema, table_name, actor_role, login_role)
    VALUES (1, 'INSERT', 'priv', 'orders', 'eve', 'eve')$$) f;
:try (format($$INSERT INTO %s (transaction_id, operation, table_schema, table_name, actor_role, login_role)
    VALUES (1, 'INSERT', 'priv', 'orders', 'eve', 'eve')$$, :'leaf')) f;
:try ('UPDATE audit.audit_log SET actor_id = NULL') f;
:try ('DELETE FROM audit.audit_log') f;
:try (format('DELETE FROM %s', :'leaf')) f;
:try ('TRUNCATE audit.audit_log') f;
:try (format('TRUNCATE %s', :'leaf')) f;
:try ($$SELECT nextval('audit.audit_log_id_seq')$$) f;
:try ($$INSERT INTO audit.guard_events (kind, transaction_id, actor_role, login_role)
    VALUES ('x', 1, 'r', 'r')$$) f;
-- nor configure it
:try ($$SELECT audit.enable_tracking('priv.orders')$$) f;
:try ($$SELECT audit.disable_tracking('priv.orders')$$) f;
:try ('SELECT audit.maintain_partitions()') f;
:try ('CREATE TABLE audit.mine ()') f;
:try ('SET ROLE audit_owner') f;
:try ('SET audit_guard.trusted_proxy_count = 9') f;
-- the internal functions are nobody's business either
SELECT count(*) AS callable FROM pg_proc p WHERE p.pronamespace = 'audit'::regnamespace AND p.proname ^@ '_'
    AND p.prosecdef
    AND has_function_privilege(p.oid, 'EXECUTE');
-- what it declares about itself does not touch what the database states
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "eve", "role": "postgres"}';
SELECT audit.set_context(actor_id => 'postgres', context => '{"app": {"login_role": "postgres"}}');
SELECT actor_id, actor_source, login_role, actor_role FROM audit.current_context();
ROLLBACK;
-- a value it set before the library was there to refuse it does not count
\c - regress_app
SET client_min_messages = error;
SELECT count(*) FROM t.try('SET audit_guard.trusted_proxy_count = 9; SET audit_guard.actor_claim = ''role''');
SELECT count(*) FROM audit.current_context();
SHOW audit_guard.trusted_proxy_count;
SHOW audit_guard.actor_claim;
-- an admin who does not own the table
\c - regress_admin
\set SHOW_CONTEXT never
:try ($$SELECT audit.enable_tracking('priv.others')$$) f;
:try ($$SELECT audit.disable_tracking('priv.orders')$$) f;
:try ('SELECT count(*) FROM audit.maintain_partitions()') f;
:try ('SELECT count(*) FROM audit.audit_log') f;
:try ('DELETE FROM audit.audit_log') f;
-- a reader reads everything and changes nothing
\c - regress_reader
\set SHOW_CONTEXT never
SELECT operation, record_id, actor_id, actor_source, login_role, actor_role FROM audit.changes
    WHERE table_schema = 'priv' ORDER BY logged_at, id;
SELECT operation, old_values, new_values FROM audit.record_history('priv.orders', 1);
SELECT count(*) FROM audit.audit_log WHERE table_schema = 'priv';
SELECT kind, object FROM audit.guard_events WHERE object = 'priv.orders';
SELECT table_name, is_enabled FROM audit.tracked_tables WHERE table_schema = 'priv';
:try ('SELECT count(*) FROM audit.audit_log_future') f;
:try ('DELETE FROM audit.audit_log') f;
:try ($$UPDATE audit.changes SET actor_id = 'x'$$) f;
:try ($$SELECT audit.enable_tracking('priv.orders')$$) f;
:try ('SELECT * FROM priv.orders') f;
-- row security is on, and lets readers see every row
\c - :me
\set SHOW_CONTEXT never
SELECT c.relname, c.relrowsecurity FROM pg_class c
    WHERE c.oid IN ('audit.audit_log'::regclass, 'audit.guard_events'::regclass) ORDER BY 1;
SELECT tablename, roles, cmd FROM pg_policies WHERE schemaname = 'audit' ORDER BY 1, 2, 3;
-- a grant alone does not open the log: row security stands behind it
BEGIN;
GRANT SELECT ON audit.audit_log TO regress_app;
SET LOCAL ROLE regress_app;
SELECT count(*) FROM audit.audit_log;
ROLLBACK;
-- nor do the roles that may read or write all tables, be it through a leaf
BEGIN;
GRANT pg_read_all_data, pg_write_all_data TO regress_app;
SET LOCAL ROLE regress_app;
SELECT t.hot_leaf() AS leaf \gset
SELECT count(*) FROM audit.audit_log;
SELECT count(*) FROM :leaf;
SELECT code FROM t.try($$INSERT INTO audit.audit_log
    (transaction_id, operation, table_schema, table_name, actor_role, login_role, new_record)
    VALUES (1, 'INSERT', 'priv', 'orders', 'eve', 'eve', '{}')$$);
SELECT code FROM t.try(format($$INSERT INTO %s
    (transaction_id, operation, table_schema, table_name, actor_role, login_role, new_record)
    VALUES (1, 'INSERT', 'priv', 'orders', 'eve', 'eve', '{}')$$, :'leaf'));
ROLLBACK;
-- the members of a group that owns the table may track it too
BEGIN;
CREATE ROLE regress_group;
GRANT regress_group TO regress_admin;
ALTER TABLE priv.others OWNER TO regress_group;
GRANT USAGE ON SCHEMA priv TO regress_admin, regress_group;
SET LOCAL ROLE regress_admin;
SELECT audit.enable_tracking('priv.others');
ROLLBACK;
SET client_min_messages = warning;
DROP SCHEMA priv CASCADE;
