-- Every refusal: SQLSTATE, message, hint. Messages name the object and the rule, never a value.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
CREATE SCHEMA err;
SET search_path = err;
CREATE TABLE people (id integer PRIMARY KEY, name text, org_id integer, secret text);
CREATE VIEW v AS SELECT * FROM people;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM people;
CREATE SEQUENCE seq;
CREATE TYPE pair AS (a integer, b integer);
CREATE INDEX people_name ON people (name);
CREATE FOREIGN DATA WRAPPER regress_audit_fdw;
CREATE SERVER regress_audit_server FOREIGN DATA WRAPPER regress_audit_fdw;
CREATE FOREIGN TABLE far (id integer) SERVER regress_audit_server;
CREATE TEMP TABLE fleeting (id integer PRIMARY KEY);
CREATE UNLOGGED TABLE light (id integer PRIMARY KEY);
-- what cannot be tracked
:try ('SELECT audit.enable_tracking(NULL)') f;
:try ($$SELECT audit.enable_tracking('err.peoplez')$$) f;
:try ('SELECT audit.enable_tracking(1::oid::regclass)') f;
:try ($$SELECT audit.enable_tracking('err.v')$$) f;
:try ($$SELECT audit.enable_tracking('err.mv')$$) f;
:try ($$SELECT audit.enable_tracking('err.far')$$) f;
:try ($$SELECT audit.enable_tracking('pg_temp.fleeting')$$) f;
:try ($$SELECT audit.enable_tracking('err.seq')$$) f;
:try ($$SELECT audit.enable_tracking('err.people_name')$$) f;
:try ($$SELECT audit.enable_tracking('err.pair')$$) f;
:try ($$SELECT audit.enable_tracking('pg_catalog.pg_class')$$) f;
:try ($$SELECT audit.enable_tracking('information_schema.sql_features')$$) f;
:try ($$SELECT audit.enable_tracking('audit.audit_log')$$) f;
:try ($$SELECT audit.enable_tracking('audit.guard_events')$$) f;
:try ($$SELECT audit.enable_tracking('err.light')$$) f;
:try ($$SELECT audit.enable_tracking(t.hot_leaf()::regclass)$$) f;
-- columns
:try ($$SELECT audit.enable_tracking('err.people', exclude => '{secrets}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', exclude => '{SECRET}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', exclude => '{ctid}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', mask => '{secrets}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', tenant_column => 'secrets')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', exclude => '{id}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', mask => '{id}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', exclude => '{secret}', mask => '{name,secret}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', exclude => '{org_id}', tenant_column => 'org_id')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', mask => '{org_id}', tenant_column => 'org_id')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', exclude => '{secret,NULL}')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', mask => ARRAY[NULL])$$) f;
-- the other options
:try ($$SELECT audit.enable_tracking('err.people', detail => 'much')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', detail => 'Full')$$) f;
:try ($$SELECT audit.enable_tracking('err.people', detail => NULL)$$) f;
:try ($$SELECT audit.enable_tracking('err.people', exclude => NULL)$$) f;
:try ($$SELECT audit.enable_tracking('err.people', mask => NULL)$$) f;
:try ($$SELECT audit.enable_tracking('err.people', phi => NULL)$$) f;
:try ($$SELECT audit.enable_tracking('err.people', log_truncated_rows => NULL)$$) f;
-- nothing of the above left a trigger or an event behind
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'people'::regclass;
SELECT count(*) FROM audit.guard_events WHERE object = 'err.people';
-- a column hidden on purpose is no candidate for the tenant; '' means none
SELECT audit.enable_tracking('people', exclude => '{org_id}');
SELECT audit.enable_tracking('people', tenant_column => '');
SELECT audit.enable_tracking('people', tenant_column => 'name');
SELECT audit.enable_tracking('people');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'people'::regclass ORDER BY tgname;
SELECT kind, count(*) FROM audit.guard_events WHERE object = 'err.people' GROUP BY 1 ORDER BY 1;
-- a trigger of that name which is not ours is left alone
CREATE TABLE taken (id integer PRIMARY KEY);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER audit_taken AFTER INSERT ON taken FOR EACH ROW EXECUTE FUNCTION nothing();
:try ($$SELECT audit.enable_tracking('err.taken')$$) f;
DROP TRIGGER audit_taken ON taken;
CREATE TRIGGER audit_taken_truncate BEFORE TRUNCATE ON taken FOR EACH STATEMENT EXECUTE FUNCTION nothing();
:try ($$SELECT audit.enable_tracking('err.taken')$$) f;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'taken'::regclass;
-- a renamed table keeps its triggers, and tracking it again makes no second pair
ALTER TABLE people RENAME TO persons;
SELECT audit.enable_tracking('persons', detail => 'delta');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'persons'::regclass ORDER BY tgname;
-- triggers that were switched off or made ordinary are shown, and tracking again mends them
ALTER TABLE persons DISABLE TRIGGER audit_people;
SELECT is_enabled, status FROM audit.tracked_tables WHERE target = 'persons'::regclass;
SELECT audit.enable_tracking('persons');
-- without the event trigger nothing mends them on its own
ALTER EVENT TRIGGER audit_guard_ddl DISABLE;
SELECT ok, fix FROM audit.health() WHERE check_name = 'ddl';
ALTER TABLE persons DISABLE TRIGGER ALL;
ALTER TABLE persons ENABLE TRIGGER ALL;
SELECT fix FROM audit.health() WHERE check_name = 'ddl' \gexec
SELECT is_enabled, status FROM audit.tracked_tables WHERE target = 'persons'::regclass;
SELECT check_name, detail, ok FROM audit.health() WHERE check_name = 'triggers';
-- the fix is a command, and it mends
SELECT fix FROM audit.health() WHERE check_name = 'triggers' \gexec
SELECT is_enabled, status FROM audit.tracked_tables WHERE target = 'persons'::regclass;
SELECT check_name, ok FROM audit.health() WHERE check_name IN ('triggers', 'partitions') ORDER BY 1;
-- disable_tracking
:try ('SELECT audit.disable_tracking(NULL)') f;
:try ($$SELECT audit.disable_tracking('err.peoplez')$$) f;
:try ('SELECT audit.disable_tracking(1::oid::regclass)') f;
:try ($$SELECT audit.disable_tracking('err.taken')$$) f;
-- record_history
:try ($$SELECT * FROM audit.record_history('err.taken', 1)$$) f;
:try ($$SELECT * FROM audit.record_history('err.peoplez', 1)$$) f;
:try ($$SELECT * FROM audit.record_history(NULL, 1)$$) f;
:try ($$SELECT * FROM audit.record_history('err.persons', NULL::text)$$) f;
:try ($$SELECT * FROM audit.record_history('err.persons', '1', -1)$$) f;
-- trigger functions used wrongly
:try ('SELECT audit.log_changes()') f;
:try ('SELECT audit.prevent_modification()') f;
CREATE TABLE wrong (id integer PRIMARY KEY);
CREATE TRIGGER early BEFORE INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION audit.log_changes();
:try ('INSERT INTO err.wrong VALUES (1)') f;
DROP TRIGGER early ON wrong;
CREATE TRIGGER statement AFTER INSERT ON wrong FOR EACH STATEMENT EXECUTE FUNCTION audit.log_changes();
:try ('INSERT INTO err.wrong VALUES (1)') f;
DROP TRIGGER statement ON wrong;
CREATE VIEW wrong_view AS SELECT * FROM wrong;
CREATE TRIGGER instead INSTEAD OF INSERT ON wrong_view FOR EACH ROW EXECUTE FUNCTION audit.log_changes();
SELECT code FROM t.try('INSERT INTO err.wrong_view VALUES (1)');
DROP VIEW wrong_view;
CREATE TRIGGER late AFTER DELETE ON wrong FOR EACH ROW EXECUTE FUNCTION audit.prevent_modification();
INSERT INTO wrong VALUES (1);
:try ('DELETE FROM err.wrong') f;
DROP TRIGGER late ON wrong;
-- an option that cannot be understood hides everything rather than failing the user's statement
CREATE TRIGGER odd AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION audit.log_changes('no such option');
:try ('INSERT INTO err.wrong VALUES (2)') f;
-- a second extension object of the same kind
:try ('CREATE EXTENSION audit_guard') f;
SET client_min_messages = warning;
DROP SCHEMA err CASCADE;
DROP FOREIGN DATA WRAPPER regress_audit_fdw CASCADE;
