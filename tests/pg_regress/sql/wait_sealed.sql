-- Waiting for a seal: what a transaction wrote is sealed, or the time is over.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
CREATE SCHEMA waits;
CREATE TABLE waits.visits (id integer PRIMARY KEY, patient text);
SELECT audit.enable_tracking('waits.visits');
-- a session that has committed nothing waits for nothing
\c
SELECT audit.wait_sealed(timeout => '0');
INSERT INTO waits.visits VALUES (1, 'ada');
SELECT audit.seal() > 0 AS sealed;
SELECT audit.wait_sealed();
SELECT max(transaction_id) AS last FROM audit.audit_log WHERE table_schema = 'waits' \gset
SELECT audit.wait_sealed(:last, '0');
SELECT audit.wait_sealed(transaction_id => :last, timeout => '178000000 years');
-- what the present transaction writes cannot be sealed before its end; others can be asked for
BEGIN;
INSERT INTO waits.visits VALUES (2, 'bob');
SELECT audit.wait_sealed(timeout => '1 hour') AS own,
       audit.wait_sealed(pg_current_xact_id()::text::bigint, '1 hour') AS own_by_number,
       audit.wait_sealed(:last, '0') AS other;
SELECT pg_current_xact_id() AS gone \gset
ROLLBACK;
-- what was rolled back, or wrote to no stream, has nothing to be sealed
SELECT audit.wait_sealed(:gone, '0');
CREATE TABLE waits.untracked ();
SELECT audit.wait_sealed(timeout => '0');
-- what is prepared is neither committed nor gone
BEGIN;
INSERT INTO waits.visits VALUES (3, 'cy');
SELECT pg_current_xact_id() AS prepared \gset
PREPARE TRANSACTION 'wait_sealed';
SELECT audit.seal() > 0 AS sealed;
SELECT audit.wait_sealed(:prepared, '100 ms');
COMMIT PREPARED 'wait_sealed';
SELECT audit.seal() > 0 AS sealed;
SELECT audit.wait_sealed(:prepared, '0');
-- refused
SELECT * FROM t.try('SELECT audit.wait_sealed(timeout => NULL)');
SELECT * FROM t.try('SELECT audit.wait_sealed(timeout => ''-1 s'')');
SELECT * FROM t.try('SELECT audit.wait_sealed(0)');
SELECT * FROM t.try('SELECT audit.wait_sealed(2)');
SELECT * FROM t.try('SELECT audit.wait_sealed(-9223372036854775808)');
SELECT * FROM t.try('SELECT audit.wait_sealed(9223372036854775807)');
-- everybody may wait, and do nothing else of it
SET ROLE regress_app;
SELECT audit.wait_sealed(:last, '0');
SELECT code FROM t.try('SELECT audit._is_sealed(''3'')')
UNION ALL SELECT code FROM t.try('SELECT audit._has_rows(''3'')')
UNION ALL SELECT code FROM t.try('SELECT audit._forget_ids()')
UNION ALL SELECT code FROM t.try('SELECT audit._resume_sealing()')
UNION ALL SELECT code FROM t.try('SELECT audit._erase_row(''audit_log'', 1, ''{patient}'')');
RESET ROLE;
-- word about ids makes a session look; it gives up its own only when a life of the ledger counts from higher ones on
INSERT INTO waits.visits VALUES (11, 'dan');
SELECT audit._forget_ids();
INSERT INTO waits.visits VALUES (12, 'eve'), (13, 'flo');
SELECT max(id) FILTER (WHERE record_id = '12') - max(id) FILTER (WHERE record_id = '11') > 1 AS skipped,
       max(id) FILTER (WHERE record_id = '13') - max(id) FILTER (WHERE record_id = '12') AS then
FROM audit.audit_log WHERE table_schema = 'waits';
SET client_min_messages = warning;
DROP SCHEMA waits CASCADE;
