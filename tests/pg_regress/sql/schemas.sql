-- All tables of a schema, and those to come.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT code, message, hint FROM t.try'
\set tracked 'SELECT target, exclude, tenant_column, status FROM audit.tracked_tables WHERE table_schema LIKE \'sch%\' ORDER BY target::text;'
CREATE SCHEMA sch;
CREATE SCHEMA "sch Two";
SET search_path = sch;
CREATE TABLE a (id integer PRIMARY KEY, org_id integer);
CREATE TABLE "B ""b""" (id integer PRIMARY KEY, secret text);
CREATE TABLE listed (id integer PRIMARY KEY, k integer) PARTITION BY LIST (id);
CREATE TABLE listed1 PARTITION OF listed FOR VALUES IN (1);
CREATE TABLE left_out (id integer);
CREATE VIEW v AS SELECT 1 AS one;
CREATE TABLE others (id integer);
ALTER TABLE others OWNER TO regress_app;
SELECT audit.enable_tracking('"B ""b"""', exclude => '{secret}');
-- refusals
:try ('SELECT audit.enable_tracking_schema(NULL)') f;
:try ($$SELECT audit.enable_tracking_schema('nowhere')$$) f;
:try ($$SELECT audit.enable_tracking_schema('audit')$$) f;
:try ($$SELECT audit.enable_tracking_schema('pg_catalog')$$) f;
:try ($$SELECT audit.enable_tracking_schema('sch', NULL)$$) f;
:try ($$SELECT audit.enable_tracking_schema('sch', except_tables => '{a,NULL}')$$) f;
:try ($$SELECT audit.enable_tracking_schema('sch', except_tables => '{sch.a}')$$) f;
:try ($$SELECT audit.enable_tracking_schema('sch', false, '{nothing}')$$) f;
:try ($$SELECT audit.enable_tracking_schema('sch"; DROP TABLE sch.a; --')$$) f;
SET ROLE regress_app;
:try ($$SELECT audit.enable_tracking_schema('sch')$$) f;
:try ($$SELECT audit.disable_tracking_schema('sch')$$) f;
:try ($$INSERT INTO audit.tracked_schemas VALUES ('sch')$$) f;
SET ROLE regress_admin;
:try ($$SELECT audit.enable_tracking_schema('sch')$$) f;
SELECT * FROM audit.enable_tracking_schema('sch', include_future => false);
RESET ROLE;
:tracked
-- for the owner of it all
SELECT * FROM audit.enable_tracking_schema('sch', except_tables => '{left_out,later_out}');
:tracked
SELECT schema_name, except_tables, enabled_by = current_user AS by_me FROM audit.tracked_schemas;
-- tables to come, however they are made, by whomever
CREATE TABLE later (id integer PRIMARY KEY, workspace_id integer);
CREATE TABLE later_out (id integer);
CREATE TABLE copied AS SELECT 1 AS id;
SELECT 2 AS id INTO selected;
CREATE UNLOGGED TABLE unlogged (id integer);
CREATE TABLE like_a (LIKE a INCLUDING ALL);
CREATE TABLE parted (id integer) PARTITION BY LIST (id);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES IN (1);
CREATE TEMP TABLE passing (id integer);
CREATE VIEW later_view AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW later_matview AS SELECT 1 AS one;
GRANT ALL ON SCHEMA sch TO regress_app;
SET ROLE regress_app;
CREATE TABLE by_app (id integer PRIMARY KEY, v text);
INSERT INTO by_app VALUES (1, 'x');
RESET ROLE;
SELECT table_name, record_id, new_record, actor_role FROM t.news('by_app');
TRUNCATE parted1;
SELECT operation, table_name, context FROM t.news('parted');
:tracked
SELECT count(*) AS triggers, count(*) FILTER (WHERE tgenabled <> 'A') AS not_always FROM pg_trigger
    WHERE tgfoid = 'audit.log_changes'::regproc AND tgrelid::regclass::text LIKE '%by_app';
-- moved in: tracked; moved out: still tracked
CREATE TABLE "sch Two".moved (id integer);
ALTER TABLE "sch Two".moved SET SCHEMA sch;
ALTER TABLE later SET SCHEMA "sch Two";
-- made again under a name that was tracked: with the former options
DROP TABLE "B ""b""";
CREATE TABLE "B ""b""" (id integer PRIMARY KEY, secret text, more text);
INSERT INTO "B ""b""" VALUES (1, 'LEAK', 'x');
SELECT new_record FROM t.news('B "b"');
-- but not what was given up on purpose
SELECT audit.disable_tracking('copied', 'not needed');
DROP TABLE copied;
CREATE TABLE copied (id integer);
:tracked
-- a rolled back table leaves nothing
SELECT count(*) AS events FROM audit.guard_events \gset
BEGIN;
CREATE TABLE gone (id integer);
INSERT INTO gone VALUES (1);
ROLLBACK;
SELECT count(*) - :events AS more_events FROM audit.guard_events;
-- a trigger of somebody else's by our name does not undo the statement
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE "sch Two".clash (id integer);
CREATE TRIGGER audit_clash_truncate BEFORE TRUNCATE ON "sch Two".clash EXECUTE FUNCTION noop();
ALTER TABLE "sch Two".clash SET SCHEMA sch;
SELECT count(*) FROM audit.tracked_tables WHERE target = 'clash'::regclass;
DROP TABLE clash;
-- a partition that is detached becomes a table of its own
ALTER TABLE listed DETACH PARTITION listed1;
SELECT target, status FROM audit.tracked_tables WHERE table_name LIKE 'listed%' ORDER BY 1;
-- and is attached again: its rows are logged once, with those of its table
ALTER TABLE listed ATTACH PARTITION listed1 FOR VALUES IN (1);
SELECT t.mark();
INSERT INTO listed VALUES (1, 7);
TRUNCATE listed;
SELECT operation, table_name, record_id, context FROM t.news();
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgfoid = 'audit.log_changes'::regproc
    AND tgrelid::regclass::text LIKE 'listed%' ORDER BY 1, 2;
SELECT kind, reason FROM audit.guard_events WHERE object = 'sch.listed1' ORDER BY id;
-- the schema is renamed
ALTER SCHEMA sch RENAME TO "Sch";
SET search_path = "Sch";
CREATE TABLE after_rename (id integer);
SELECT schema_name, except_tables FROM audit.tracked_schemas;
-- and made again after a drop
DROP SCHEMA "Sch" CASCADE;
CREATE SCHEMA "Sch" CREATE TABLE at_once (id integer PRIMARY KEY);
SELECT target, status FROM audit.tracked_tables WHERE table_schema = 'Sch';
-- given up
SELECT * FROM audit.disable_tracking_schema('Sch', 'moved to another database');
SELECT * FROM audit.disable_tracking_schema('Sch');
CREATE TABLE untracked (id integer);
SELECT count(*) FROM audit.tracked_tables WHERE table_schema = 'Sch';
SELECT kind, object, reason, detail - 'degraded' AS detail FROM audit.guard_events
    WHERE kind LIKE 'schema%' OR object = '"Sch".at_once' ORDER BY id;
:try ('SELECT audit.disable_tracking_schema(NULL)') f;
:try ($$SELECT audit.disable_tracking_schema('nowhere')$$) f;
DROP SCHEMA "Sch", "sch Two" CASCADE;
