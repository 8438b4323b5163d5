-- Prepared transactions: the log lives and dies with them. Needs max_prepared_transactions above 0.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA twop;
SET search_path = twop;
CREATE TABLE jobs (id integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('jobs');
SELECT t.mark();
BEGIN;
SELECT audit.set_context(actor_id => 'ada');
INSERT INTO jobs VALUES (1, 'prepared');
SAVEPOINT a;
INSERT INTO jobs VALUES (2, 'gone');
ROLLBACK TO a;
UPDATE jobs SET v = 'prepared, changed' WHERE id = 1;
PREPARE TRANSACTION 'regress_audit_1';
-- the session goes on; what it declared belonged to the transaction
INSERT INTO jobs VALUES (3, 'between');
BEGIN;
INSERT INTO jobs VALUES (4, 'rolled back later');
PREPARE TRANSACTION 'regress_audit_2';
SELECT record_id, actor_id FROM t.news();
COMMIT PREPARED 'regress_audit_1';
ROLLBACK PREPARED 'regress_audit_2';
INSERT INTO jobs VALUES (5, 'after');
SELECT operation, record_id, actor_id, new_values ->> 'v' AS v FROM audit.changes WHERE table_schema = 'twop'
    ORDER BY logged_at, id;
-- a transaction that prepares after its tracked table was changed by DDL
BEGIN;
ALTER TABLE jobs ADD COLUMN w integer DEFAULT 1;
INSERT INTO jobs VALUES (6, 'x', 2);
SELECT count(*) FROM audit.record_history('jobs', 6);
PREPARE TRANSACTION 'regress_audit_3';
ROLLBACK PREPARED 'regress_audit_3';
INSERT INTO jobs VALUES (6, 'y');
SELECT new_values FROM audit.record_history('jobs', 6);
SET client_min_messages = warning;
DROP SCHEMA twop CASCADE;
