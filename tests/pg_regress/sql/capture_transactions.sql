-- What is committed is logged once, what is rolled back not at all; the facts beside the images.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA tx;
SET search_path = tx;
CREATE TABLE notes (id integer PRIMARY KEY, body text);
SELECT audit.enable_tracking('notes');
SELECT t.mark();
-- a whole transaction
BEGIN;
INSERT INTO notes VALUES (1, 'gone');
ROLLBACK;
-- savepoints: rolled back, released, nested, reused
BEGIN;
INSERT INTO notes VALUES (1, 'kept');
SAVEPOINT a;
INSERT INTO notes VALUES (2, 'gone');
SAVEPOINT b;
INSERT INTO notes VALUES (3, 'gone with its parent');
RELEASE b;
ROLLBACK TO a;
INSERT INTO notes VALUES (4, 'kept');
SAVEPOINT c;
UPDATE notes SET body = 'kept, changed' WHERE id = 4;
RELEASE c;
COMMIT;
SELECT operation, record_id, new_record ->> 'body' AS body FROM t.news();
-- exception blocks, and errors inside one statement
DO $$
BEGIN
    FOR i IN 10 .. 13 LOOP
        BEGIN
            INSERT INTO notes VALUES (i, 'loop');
            IF i % 2 = 1 THEN
                RAISE division_by_zero;
            END IF;
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
END $$;
INSERT INTO notes VALUES (20, 'gone'), (10, 'double');
SELECT operation, record_id FROM t.news();
-- rows written earlier in the transaction can be read inside it
BEGIN;
INSERT INTO notes VALUES (30, 'seen at once');
SELECT operation, new_values FROM audit.record_history('notes', 30);
ROLLBACK;
SELECT count(*) FROM audit.record_history('notes', 30);
-- one transaction, one number; its changes are found by it
BEGIN;
SELECT pg_current_xact_id()::text AS xact \gset
INSERT INTO notes VALUES (40, 'first');
UPDATE notes SET body = 'second' WHERE id = 40;
DELETE FROM notes WHERE id = 40;
COMMIT;
SELECT operation, record_id, changed_fields, old_values, new_values FROM audit.transaction_changes(:xact);
SELECT count(*) FROM audit.transaction_changes(0);
-- the facts the database itself states
SELECT t.mark();
BEGIN;
SET LOCAL application_name = 'till 4';
SELECT clock_timestamp() AS before, pg_current_xact_id()::text AS xact \gset
INSERT INTO notes VALUES (50, 'x'), (51, 'y');
SELECT logged_at BETWEEN :'before' AND clock_timestamp() AS time_is_now,
    transaction_id = :xact AS this_transaction,
       outcome, application_name, phi_accessed, salt IS NOT NULL AS salted, redaction, tenant_id
    FROM t.news();
SELECT count(DISTINCT id) AS ids, count(DISTINCT salt) AS salts FROM audit.audit_log
    WHERE transaction_id = :xact;
COMMIT;
-- many rows of one statement: each once, in order
INSERT INTO notes SELECT i, 'many' FROM generate_series(1000, 1999) i;
UPDATE notes SET body = 'more' WHERE id BETWEEN 1000 AND 1999;
SELECT operation, count(*), count(DISTINCT id) AS ids, count(DISTINCT record_id) AS records,
    count(DISTINCT salt) AS salts,
       bool_and(in_order) AS in_order
    FROM (SELECT *, id > lag(id, 1, 0::bigint) OVER (ORDER BY logged_at, id)
                    AND logged_at >= lag(logged_at, 1, '-infinity') OVER (ORDER BY id) AS in_order
                    FROM t.news()) n
    GROUP BY 1 ORDER BY 1;
-- times are the clock's, not the transaction's: they grow within one
BEGIN;
INSERT INTO notes VALUES (60, 'x');
SELECT pg_sleep(0.01);
INSERT INTO notes VALUES (61, 'x');
SELECT max(logged_at) - min(logged_at) >= interval '10 ms' AS apart FROM t.news();
COMMIT;
-- an empty application name is none
SET application_name = '';
INSERT INTO notes VALUES (70, 'x');
SELECT application_name FROM t.news();
-- an index created on the leaf, a changed table, and statements after them, all in one transaction
SELECT t.hot_leaf() AS leaf \gset
BEGIN;
INSERT INTO notes VALUES (80, 'x');
CREATE INDEX ON :leaf (application_name);
ALTER TABLE notes ADD COLUMN mood text DEFAULT 'fine';
INSERT INTO notes VALUES (81, 'x');
ALTER TABLE notes DROP COLUMN body;
UPDATE notes SET mood = 'good' WHERE id = 80;
SELECT operation, record_id, changed_fields, new_record FROM t.news();
ROLLBACK;
SET client_min_messages = warning;
DROP SCHEMA tx CASCADE;
