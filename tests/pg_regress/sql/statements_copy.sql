-- COPY in every form: what arrives is logged row by row, what does not is not.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, table_name, record_id, new_record FROM t.news();'
CREATE SCHEMA copies;
SET search_path = copies;
SET client_min_messages = warning;
CREATE TABLE goods (id integer PRIMARY KEY, name text DEFAULT 'none', qty integer CHECK (qty < 1000),
    twice integer GENERATED ALWAYS AS (qty * 2) STORED);
SELECT audit.enable_tracking('goods');
SELECT t.mark();
-- text, CSV, a list of columns, defaults, a condition
COPY goods FROM stdin;
1	a\tb\n"c" \\ é	5
2	\N	\N
\.
COPY goods (qty, id) FROM stdin WITH (FORMAT csv, HEADER);
qty,id
7,3
,4
\.
COPY goods (id, name) FROM stdin WITH (FORMAT csv, NULL 'nil', DELIMITER ';', QUOTE '''');
5;'it''s; so'
6;nil
\.
COPY goods (id, qty) FROM stdin WHERE qty % 2 = 0;
7	3
8	4
\.
:news
-- nothing of a COPY that fails is logged, and of several in a transaction only what was kept
COPY goods (id, qty) FROM stdin;
20	1
21	x
\.
COPY goods (id, qty) FROM stdin;
20	1
1	1
\.
BEGIN;
COPY goods (id) FROM stdin;
30
\.
SAVEPOINT a;
COPY goods (id, qty) FROM stdin;
31	1
32	1000
\.
ROLLBACK TO a;
COPY goods (id) FROM stdin;
33
\.
COMMIT;
:news
-- binary, through a file of the server; what COPY TO reads is not logged
SELECT current_setting('data_directory') || '/copies' AS file \gset
COPY goods (id, name, qty) TO :'file' WITH (FORMAT binary);
CREATE TABLE goods2 (LIKE goods INCLUDING ALL);
SELECT audit.enable_tracking('goods2', exclude => '{qty}');
COPY goods2 (id, name, qty) FROM :'file' WITH (FORMAT binary);
COPY (DELETE FROM goods2 WHERE id > 4 RETURNING id) TO :'file';
SELECT operation, table_name, record_id, old_record, new_record FROM t.news();
-- frozen rows, into a table made and tracked in the same transaction, and into one just emptied
BEGIN;
CREATE TABLE cold (id integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('cold');
COPY cold FROM stdin WITH (FREEZE);
1	frozen
2	frozen
\.
COMMIT;
BEGIN;
TRUNCATE cold;
COPY cold FROM stdin WITH (FREEZE);
3	frozen again
\.
COMMIT;
:news
-- more rows than fit into one batch, into several partitions at once
CREATE TABLE parts (id integer PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 (v text, id integer NOT NULL);
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT audit.enable_tracking('parts');
SELECT t.mark();
COPY (SELECT i, repeat('v', i % 50) FROM generate_series(1, 5000) i) TO :'file';
COPY parts FROM :'file';
SELECT n.operation, n.table_name, count(*), count(DISTINCT n.record_id) AS records,
    bool_and(n.new_record = to_jsonb(p)) AS images
    FROM t.news() n JOIN parts p ON p.id::text = n.record_id GROUP BY 1, 2;
-- a trigger that changes or drops a row, and a view with one that does the work
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.v := upper(NEW.v); IF NEW.id = 5002 THEN RETURN NULL; END IF; RETURN NEW; END';
CREATE TRIGGER tidy BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION tidy();
CREATE VIEW door AS SELECT id, v FROM parts;
CREATE FUNCTION let_in() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO copies.parts VALUES (NEW.id, NEW.v); RETURN NEW; END';
CREATE TRIGGER let_in INSTEAD OF INSERT ON door FOR EACH ROW EXECUTE FUNCTION let_in();
COPY parts FROM stdin;
5001	through the table
5002	nowhere
\.
COPY door FROM stdin;
5003	through the view
\.
:news
-- as a plain role who may only insert
GRANT USAGE ON SCHEMA copies TO regress_app;
GRANT INSERT ON goods TO regress_app;
SET ROLE regress_app;
COPY goods (id) FROM stdin;
90
\.
RESET ROLE;
SELECT operation, record_id, actor_role FROM t.news();
DROP SCHEMA copies CASCADE;
