-- What is recorded: every form of change once per row, whole images, and the fields that changed.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA capture;
SET search_path = capture;
CREATE TABLE items (id integer PRIMARY KEY, name text, qty integer DEFAULT 1, price numeric);
SELECT audit.enable_tracking('items');
SELECT t.mark();
-- INSERT of several rows
INSERT INTO items VALUES (1, 'pen', 5, 1.50), (2, 'ink', DEFAULT, NULL);
:news
-- UPDATE: both whole images; changed_fields in the order of the columns, whatever the order of SET
UPDATE items SET price = 2, name = 'Pen' WHERE id = 1;
:news
-- from and to NULL are changes
UPDATE items SET price = 3 WHERE id = 2;
UPDATE items SET price = NULL WHERE id = 2;
:news
-- another scale is another stored value
UPDATE items SET price = 2.00 WHERE id = 1;
:news
-- an UPDATE that changes nothing logs nothing, be it of one row or of all
UPDATE items SET name = name;
UPDATE items SET name = 'Pen', qty = 5 WHERE id = 1;
UPDATE items SET name = 'nobody' WHERE id = 99;
DELETE FROM items WHERE id = 99;
:news
-- of several rows only the changed ones are logged
UPDATE items SET qty = 5;
:news
DELETE FROM items WHERE id = 2;
:news
-- COPY
COPY items (id, name) FROM stdin;
10	ruler
11	\N
\.
:news
-- ON CONFLICT: what happened, not what was asked for
INSERT INTO items VALUES (10, 'x', 1, 1), (12, 'clip', 1, 1) ON CONFLICT DO NOTHING;
INSERT INTO items VALUES (12, 'clips', 2, 1), (13, 'pin', 1, 1)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, qty = excluded.qty;
INSERT INTO items VALUES (13, 'other', 1, 1) ON CONFLICT (id) DO UPDATE SET name = items.name;
:news
-- MERGE
MERGE INTO items USING (VALUES (11, 'glue', false), (12, '', true), (14, 'tape', false)) AS s (id, name,
    gone)
    ON items.id = s.id
    WHEN MATCHED AND s.gone THEN DELETE
    WHEN MATCHED THEN UPDATE SET name = s.name
    WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name, 7, NULL);
SELECT operation, record_id, changed_fields, old_record, new_record FROM t.news() ORDER BY record_id;
-- one statement that moves rows between two tracked tables
CREATE TABLE bin (LIKE items INCLUDING ALL);
SELECT audit.enable_tracking('bin');
WITH gone AS (DELETE FROM items WHERE id = 14 RETURNING *) INSERT INTO bin SELECT * FROM gone;
SELECT operation, table_schema, table_name, record_id FROM t.news();
-- through a view
CREATE VIEW cheap AS SELECT id, name FROM items WHERE id < 12;
UPDATE cheap SET name = 'ruler, 30 cm' WHERE id = 10;
SELECT operation, table_name, record_id, changed_fields FROM t.news();
-- a row that changes twice in one transaction is logged twice; what another BEFORE trigger makes of it counts
CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.name := upper(NEW.name); IF NEW.qty < 0 THEN RETURN NULL; END IF; RETURN NEW; END';
CREATE TRIGGER louder BEFORE INSERT OR UPDATE ON bin FOR EACH ROW EXECUTE FUNCTION louder();
BEGIN;
INSERT INTO bin VALUES (1, 'a', 1, NULL), (2, 'skipped', -1, NULL);
UPDATE bin SET qty = 2 WHERE id = 1;
COMMIT;
:news
-- foreign keys that act: the changes they make are logged where they happen
CREATE TABLE boxes (id integer PRIMARY KEY, item integer REFERENCES bin ON UPDATE CASCADE
    ON DELETE SET NULL,
    owner integer REFERENCES items ON DELETE CASCADE);
SELECT audit.enable_tracking('boxes');
INSERT INTO boxes VALUES (1, 1, 10);
UPDATE bin SET id = 7 WHERE id = 1;
DELETE FROM bin WHERE id = 7;
DELETE FROM items WHERE id = 10;
SELECT operation, table_name, record_id, changed_fields, new_record FROM t.news('boxes');
-- TRUNCATE is one row per table, empty or not
TRUNCATE boxes;
TRUNCATE bin, items CASCADE;
SELECT operation, table_name, record_id, changed_fields, old_record, new_record FROM t.news()
    ORDER BY table_name;
-- asked for, the rows that a TRUNCATE takes away are logged first
SELECT audit.enable_tracking('items', log_truncated_rows => true);
INSERT INTO items VALUES (1, 'pen', 1, 1), (2, 'ink', 1, 1);
SELECT t.mark();
TRUNCATE items CASCADE;
SELECT operation, record_id, old_record, new_record FROM t.news('items');
-- and are part of the history of each record
SELECT operation, old_values, new_values FROM audit.record_history('items', 2) WHERE operation = 'TRUNCATE';
-- replica mode hides nothing
SET session_replication_role = replica;
INSERT INTO items VALUES (3, 'cap', 1, 1);
TRUNCATE items, boxes;
RESET session_replication_role;
SELECT operation, record_id FROM t.news('items');
-- after disable_tracking nothing is logged; a second call is no error
SELECT audit.disable_tracking('items', 'end of test');
INSERT INTO items VALUES (4, 'cup', 1, 1);
TRUNCATE items, boxes;
SELECT operation, table_name FROM t.news();
SELECT audit.disable_tracking('items');
-- what was recorded stays readable, and the switching itself is on record
SELECT count(*) > 0 AS kept FROM audit.record_history('items', '1');
SELECT kind, object, reason FROM audit.guard_events WHERE object = 'capture.items' ORDER BY id;
SET client_min_messages = warning;
DROP SCHEMA capture CASCADE;
