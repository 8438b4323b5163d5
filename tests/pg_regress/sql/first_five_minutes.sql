-- What a newcomer types first, in a database of its own, as two people: who sets up, and the application.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE regress_first_five TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
\c regress_first_five
\set SHOW_CONTEXT never
CREATE TABLE packages (id integer PRIMARY KEY, community_id integer, status text);
CREATE TABLE orders (id integer PRIMARY KEY);
INSERT INTO packages VALUES (41, 1, 'received'), (42, 1, 'received');
GRANT SELECT, UPDATE ON packages TO regress_app;
-- whether a notice follows depends on preloading, which is not what is compared here
ALTER DATABASE regress_first_five SET client_min_messages = warning;
\c
CREATE EXTENSION audit_guard;
ALTER DATABASE regress_first_five RESET client_min_messages;
\c
\set SHOW_CONTEXT never
SELECT audit.enable_tracking('packages');
\c - regress_app
UPDATE packages SET status = 'picked_up' WHERE id = 42;
\c - :me
\set SHOW_CONTEXT never
SELECT logged_at > now() - interval '1 minute' AS just_now, operation, login_role, changed_fields,
    old_values, new_values
    FROM audit.record_history('packages', 42);
DELETE FROM audit.audit_log;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT * FROM audit.record_history('packagez', 42);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM audit.record_history('orders', 1);
\echo :LAST_ERROR_SQLSTATE
-- the hint does what it says
SELECT audit.enable_tracking('public.orders');
SELECT count(*) FROM audit.record_history('orders', 1);
-- the same call again says so and changes nothing
SELECT audit.enable_tracking('packages');
SELECT target, tenant_column, detail, is_enabled, status FROM audit.tracked_tables ORDER BY table_name;
-- what the first use made: this month, 24 ahead, two edges
SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.audit_log'::regclass;
-- every check of health comes with a command that mends what is not well
SELECT check_name, ok, fix IS NOT NULL AS has_fix FROM audit.health()
    WHERE check_name IN ('partitions', 'triggers') ORDER BY 1;
SELECT count(*) AS not_well_without_fix FROM audit.health() WHERE NOT ok AND fix IS NULL;
-- the extension cannot be dropped by accident while it is in use, and leaves nothing behind when it goes
\set VERBOSITY sqlstate
DROP EXTENSION audit_guard;
\set VERBOSITY default
SELECT audit.disable_tracking('packages');
SELECT audit.disable_tracking('orders');
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
DROP EXTENSION audit_guard;
SELECT count(*) FROM pg_class WHERE relname LIKE 'audit\_log%';
UPDATE packages SET status = 'received';
-- installed again: a trigger made by hand, no month made yet, a plain role writing, and all is well
ALTER DATABASE regress_first_five SET client_min_messages = warning;
\c
\set SHOW_CONTEXT never
CREATE EXTENSION audit_guard;
CREATE TRIGGER by_hand AFTER INSERT OR UPDATE OR DELETE ON packages FOR EACH ROW
    EXECUTE FUNCTION audit.log_changes('tenant=community_id');
SET ROLE regress_app;
UPDATE packages SET status = 'lost' WHERE id = 41;
RESET ROLE;
SELECT operation, record_id, tenant_id, actor_role FROM audit.audit_log;
SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.audit_log'::regclass;
-- and once more within one session
DROP TRIGGER by_hand ON packages;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
DROP EXTENSION audit_guard;
CREATE EXTENSION audit_guard;
SELECT audit.enable_tracking('packages');
UPDATE packages SET status = 'found' WHERE id = 41;
SELECT operation, record_id, new_values FROM audit.record_history('packages', 41);
\c :home
DROP DATABASE regress_first_five;
