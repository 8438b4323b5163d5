-- One call mends triggers that were switched off, weakened or lost; options stay.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT code, message, hint FROM t.try'
\set status 'SELECT target, exclude, status FROM audit.tracked_tables WHERE table_schema = \'rep\' ORDER BY target::text;'
\set health 'SELECT check_name, ok, detail, fix FROM audit.health() WHERE check_name IN (\'triggers\', \'append_only\');'
CREATE SCHEMA rep;
SET search_path = rep;
CREATE TABLE a (id integer PRIMARY KEY, secret text);
CREATE TABLE b (id integer, k integer) PARTITION BY LIST (k);
CREATE TABLE b1 PARTITION OF b FOR VALUES IN (1);
CREATE TABLE c (id integer PRIMARY KEY);
CREATE TABLE others (id integer PRIMARY KEY);
SELECT audit.enable_tracking(x::regclass) FROM unnest('{b,c,others}'::text[]) x;
SELECT audit.enable_tracking('a', exclude => '{secret}', detail => 'delta');
SELECT t.mark();
-- the event trigger mends what ENABLE TRIGGER weakens, and records what DISABLE TRIGGER interrupts
SELECT max(id) AS seen FROM audit.guard_events \gset
ALTER TABLE a DISABLE TRIGGER ALL;
INSERT INTO a VALUES (1, 'LEAK');
:health
ALTER TABLE a ENABLE TRIGGER USER;
ALTER TABLE c ENABLE REPLICA TRIGGER audit_c;
ALTER TABLE b1 DISABLE TRIGGER audit_b;
ALTER TABLE b ENABLE TRIGGER audit_b;
:status
SELECT kind, object, detail FROM audit.guard_events WHERE id > :seen ORDER BY id;
-- without it, repair_tracking does
ALTER EVENT TRIGGER audit_guard_ddl DISABLE;
ALTER TABLE a DISABLE TRIGGER ALL;
ALTER TABLE c ENABLE TRIGGER audit_c;
ALTER TABLE b1 ENABLE TRIGGER audit_b;
DROP TRIGGER audit_b1_truncate ON b1;
CREATE TABLE b2 PARTITION OF b FOR VALUES IN (2);
ALTER TABLE others DISABLE TRIGGER ALL;
ALTER TABLE a RENAME secret TO token;
:status
:health
ALTER EVENT TRIGGER audit_guard_ddl ENABLE ALWAYS;
SELECT max(id) AS seen FROM audit.guard_events \gset
SELECT * FROM audit.repair_tracking('c');
SELECT * FROM audit.repair_tracking('c');
ALTER TABLE others OWNER TO regress_app;
GRANT USAGE ON SCHEMA rep TO regress_owner;
ALTER TABLE a OWNER TO regress_owner;
SET ROLE regress_owner;
SELECT * FROM audit.repair_tracking();
:try ($$SELECT audit.repair_tracking('rep.others')$$) f;
RESET ROLE;
SELECT * FROM audit.repair_tracking('b2');
SELECT * FROM audit.repair_tracking();
SELECT * FROM audit.repair_tracking();
:status
:health
SELECT kind, object, detail - 'commands' AS detail FROM audit.guard_events WHERE id > :seen ORDER BY id;
INSERT INTO a VALUES (2, 'LEAK');
SELECT new_record FROM t.news('a');
-- the tables of the log themselves
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER EVENT TRIGGER audit_guard_ddl DISABLE;
ALTER TABLE audit.guard_events DISABLE TRIGGER ALL;
ALTER TABLE audit.guard_events ENABLE TRIGGER ALL;
ALTER EVENT TRIGGER audit_guard_ddl ENABLE ALWAYS;
:health
SELECT * FROM audit.repair_tracking();
:health
ALTER TABLE audit.guard_events DISABLE TRIGGER ALL;
ALTER TABLE audit.guard_events ENABLE TRIGGER ALL;
ALTER EVENT TRIGGER audit_guard_shield ENABLE ALWAYS;
:health
-- refusals
CREATE TABLE untracked (id integer);
:try ($$SELECT audit.repair_tracking('rep.untracked')$$) f;
:try ($$SELECT audit.repair_tracking(4294967295::oid::regclass)$$) f;
SET ROLE regress_app;
:try ('SELECT audit.repair_tracking()') f;
:try ('SELECT audit._repair_streams()') f;
RESET ROLE;
DROP SCHEMA rep CASCADE;
