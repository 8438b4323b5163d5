-- begin_restore: what a restore loads is marked, for the rest of the transaction and no longer.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA loaded AUTHORIZATION regress_owner;
SET search_path = loaded;
CREATE TABLE cases (id integer PRIMARY KEY);
GRANT USAGE ON SCHEMA loaded TO PUBLIC;
GRANT ALL ON cases TO PUBLIC;
SELECT audit.enable_tracking('cases');
SELECT t.mark();
SET ROLE regress_admin;
BEGIN;
INSERT INTO cases VALUES (1);
SAVEPOINT a;
SELECT audit.begin_restore('backup of 2026-11-19');
INSERT INTO cases VALUES (2);
-- declarations come and go beside the mark
SELECT audit.set_context(actor_id => 'ada', context => '{"app": {"ticket": 7}}');
INSERT INTO cases VALUES (3);
SELECT audit.set_context();
INSERT INTO cases VALUES (4);
SELECT context -> 'restore' AS restore FROM audit.current_context();
ROLLBACK TO a;
SELECT context -> 'restore' AS restore FROM audit.current_context();
INSERT INTO cases VALUES (5);
SELECT audit.begin_restore('again');
SAVEPOINT b;
INSERT INTO cases VALUES (6);
SELECT audit.begin_restore('and again');
RELEASE b;
COPY cases FROM STDIN;
7
8
\.
UPDATE cases SET id = 9 WHERE id = 8;
DELETE FROM cases WHERE id = 7;
COMMIT;
INSERT INTO cases VALUES (10);
BEGIN;
INSERT INTO cases VALUES (11);
COMMIT;
-- a function may begin and load in one statement
CREATE FUNCTION pg_temp.load(id integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit.begin_restore('in a function');
    INSERT INTO loaded.cases VALUES (load.id);
END $$;
SELECT pg_temp.load(12);
-- alone it is of no use, and says so
SELECT audit.begin_restore('alone');
INSERT INTO cases VALUES (13);
RESET ROLE;
SELECT operation, record_id, actor_id, context - 'login_identity' AS context FROM t.news();
-- the events stay, those of the savepoint went with it
SELECT kind, object, reason, detail, actor_role FROM audit.guard_events WHERE kind = 'restore_begun'
    ORDER BY id;
-- refused
SELECT * FROM t.try('SELECT audit.begin_restore(NULL)');
SELECT * FROM t.try('SELECT audit.begin_restore('''')');
SELECT * FROM t.try($$SELECT audit.begin_restore(E' \t\n')$$);
SELECT * FROM t.try('SELECT audit.set_context(context => ''{"restore": true}'')');
SELECT * FROM t.try('SELECT audit.set_context(context => ''{"app": {"restore": true}}'')');
SET ROLE regress_app;
SELECT code, message FROM t.try('SELECT audit.begin_restore(''x'')');
RESET ROLE;
SET ROLE regress_reader;
SELECT code, message FROM t.try('SELECT audit.begin_restore(''x'')');
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA loaded CASCADE;
