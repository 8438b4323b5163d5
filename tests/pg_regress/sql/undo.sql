-- The statements that undo a transaction: printed, run, and compared with what was there before.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA undo;
GRANT USAGE ON SCHEMA undo TO regress_reader;
SET search_path = undo;
CREATE FUNCTION try(transaction_id bigint) RETURNS TABLE (code text, message text, hint text)
LANGUAGE sql AS $$
    SELECT code, regexp_replace(message, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g'),
           regexp_replace(regexp_replace(hint, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g'),
                          'changes\(\d+\)', 'changes(N)')
    FROM t.try(format('SELECT * FROM audit.undo_sql(%s)', transaction_id))
$$;
-- What it looks like.
CREATE TABLE packages (id integer PRIMARY KEY, status text, "Weight kg" numeric(6,2));
SELECT audit.enable_tracking('packages');
INSERT INTO packages VALUES (1, 'received', 1.50), (2, 'it''s here', NULL), (3, 'lost', 3);
CREATE TABLE packages_before AS TABLE packages;
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
INSERT INTO packages VALUES (4, 'new', 4);
UPDATE packages SET status = 'picked up', "Weight kg" = 9 WHERE id = 1;
UPDATE packages SET status = 'returned' WHERE id = 1;
UPDATE packages SET id = 20 WHERE id = 2;
DELETE FROM packages WHERE id = 3;
COMMIT;
SELECT * FROM audit.undo_sql(:transaction_id);
BEGIN;
SELECT statement FROM audit.undo_sql(:transaction_id) ORDER BY step \gexec
COMMIT;
SELECT count(*) FROM (TABLE packages EXCEPT TABLE packages_before) d;
SELECT count(*) FROM packages;
-- done once, the records have changed again since
SELECT code FROM try(:transaction_id);
-- Every type, read back under other settings; identity, generated and renamed columns, NOT NULL of jsonb.
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text, vc varchar(10), ch char(5),
    n numeric(8,3), f float8, b boolean, raw bytea, at timestamptz, d date, iv interval, u uuid,
    doc jsonb NOT NULL, words text[], grid integer[], p pair, ps pair[], r int4range, i inet, s short,
    bits bit(5), point point, twice numeric GENERATED ALWAYS AS (n * 2) STORED);
SELECT audit.enable_tracking('things', log_truncated_rows => true);
INSERT INTO things
    (t, vc, ch, n, f, b, raw, at, d, iv, u, doc, words, grid, p, ps, r, i, s, bits, point)
VALUES
    (E'quo''te\\ "x"\n', 'abc', 'ab', 1.500, 'Infinity', true, '\x00ff27', 'infinity', '-infinity',
     '-1 day +2:03:04.5', '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000', 'null', '{"a,b",NULL,"c\"d",""}',
     '{{1,2},{3,4}}', '(1,"x, ""y""")', '{"(1,\"a b\")",NULL}', '(,5]', '10.0.0.1/8', 'ok',
     '10101', '(1.5,-2)'),
    (NULL, NULL, NULL, NULL, 0.1, NULL, NULL, '2026-01-01 12:00:00.123456+05:45', '0044-03-15 BC',
     'P1Y2M3DT4H', NULL, '{"a":[1,null]}', '{}', '{}', NULL, NULL, 'empty', '::1', NULL, NULL, NULL);
CREATE TABLE things_before AS TABLE things;
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
UPDATE things SET t = 'changed', vc = NULL, ch = 'x', n = 'NaN', f = -1, raw = '\x01',
    at = '2026-02-03 04:05+06', d = '2026-02-03', iv = '1 day', doc = '1', words = '{}', grid = NULL,
    p = NULL, ps = '{}', r = 'empty', i = NULL, s = 'new', bits = NULL, point = NULL WHERE t IS NOT NULL;
UPDATE things SET id = DEFAULT WHERE t IS NULL;
DELETE FROM things WHERE t = 'changed';
INSERT INTO things (t, doc) VALUES ('new', '1');
TRUNCATE things;
INSERT INTO things (t, doc) VALUES ('newer', '1');
COMMIT;
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Tokyo';
SET intervalstyle = 'sql_standard';
SET extra_float_digits = 0;
SET bytea_output = 'escape';
BEGIN;
SELECT statement FROM audit.undo_sql(:transaction_id) ORDER BY step \gexec
COMMIT;
RESET ALL;
SET search_path = undo;
SELECT count(*) FROM things;
SELECT count(*)
FROM (SELECT to_jsonb(x)::text FROM things x EXCEPT SELECT to_jsonb(y)::text FROM things_before y) d;
SELECT attidentity FROM pg_attribute WHERE attrelid = 'things'::regclass AND attname = 'id';
-- Cascades, triggers of the owner and partitions; constraints hold again afterwards.
CREATE TABLE orders (id integer PRIMARY KEY, total integer, changed_at timestamptz);
CREATE TABLE lines (id integer, order_id integer REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE,
    PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE "lines 1" PARTITION OF lines FOR VALUES FROM (0) TO (100);
CREATE TABLE "lines 2" PARTITION OF lines FOR VALUES FROM (100) TO (200);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
SELECT audit.enable_tracking('orders', detail => 'changed');
SELECT audit.enable_tracking('lines', detail => 'delta');
INSERT INTO orders VALUES (1, 10), (2, 20);
INSERT INTO lines VALUES (10, 1), (110, 1), (20, 2);
CREATE TABLE orders_before AS TABLE orders;
CREATE TABLE lines_before AS TABLE lines;
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
UPDATE orders SET id = 7, total = 11 WHERE id = 1;
UPDATE lines SET id = 120 WHERE id = 10;
DELETE FROM orders WHERE id = 2;
INSERT INTO lines VALUES (30, 7);
COMMIT;
SELECT step, regexp_replace(statement, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g') AS statement
FROM audit.undo_sql(:transaction_id);
\set ECHO none
BEGIN;
SELECT statement FROM audit.undo_sql(:transaction_id) ORDER BY step \gexec
COMMIT;
\set ECHO all
SELECT count(*)
FROM ((TABLE orders EXCEPT TABLE orders_before) UNION ALL (TABLE orders_before EXCEPT TABLE orders)) d;
SELECT count(*)
FROM ((TABLE lines EXCEPT TABLE lines_before) UNION ALL (TABLE lines_before EXCEPT TABLE lines)) d;
SELECT * FROM t.try('INSERT INTO undo.lines VALUES (31, 99)');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal ORDER BY 1;
-- Changed again since: a notice.
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
UPDATE packages SET status = 'first';
COMMIT;
UPDATE packages SET status = 'second' WHERE id < 3;
SELECT statement FROM audit.undo_sql(:transaction_id) ORDER BY step;
-- What was not recorded is refused.
CREATE TABLE people (id integer PRIMARY KEY, name text, secret text, pin text);
SELECT audit.enable_tracking('people', exclude => '{secret}', mask => '{pin}');
INSERT INTO people VALUES (1, 'ada', 'LEAK', 'LEAK');
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
UPDATE people SET name = 'Ada';
COMMIT;
SELECT statement FROM audit.undo_sql(:transaction_id);
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
UPDATE people SET pin = 'LEAK2';
COMMIT;
SELECT * FROM try(:transaction_id);
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
DELETE FROM people;
COMMIT;
SELECT * FROM try(:transaction_id);
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
TRUNCATE packages;
COMMIT;
SELECT * FROM try(:transaction_id);
CREATE TABLE keyless (v text);
SELECT audit.enable_tracking('keyless');
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
INSERT INTO keyless VALUES ('x');
COMMIT;
SELECT * FROM try(:transaction_id);
-- A table that is gone, also when another one has its name by now.
CREATE TABLE gone (id integer PRIMARY KEY);
SELECT audit.enable_tracking('gone');
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
INSERT INTO gone VALUES (1);
COMMIT;
DROP TABLE gone;
SELECT * FROM try(:transaction_id);
CREATE TABLE gone (id integer PRIMARY KEY);
SELECT audit.enable_tracking('gone');
SELECT * FROM try(:transaction_id);
-- Wrong input, and who may.
SELECT * FROM t.try('SELECT * FROM audit.undo_sql(NULL)');
SELECT * FROM t.try('SELECT * FROM audit.undo_sql(1)');
SET ROLE regress_app;
SELECT code FROM t.try('SELECT * FROM audit.undo_sql(1)');
SET ROLE regress_reader;
SELECT code FROM t.try(format('SELECT * FROM audit.undo_sql(%s)', :transaction_id));
RESET ROLE;
-- Names and values that would break out of a statement do not.
CREATE TABLE "T'; DROP TABLE packages; --" ("c'; ""x" integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('"T''; DROP TABLE packages; --"');
INSERT INTO "T'; DROP TABLE packages; --" VALUES (1, '''); DROP TABLE packages; --');
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
DELETE FROM "T'; DROP TABLE packages; --";
COMMIT;
SELECT statement FROM audit.undo_sql(:transaction_id);
SELECT statement FROM audit.undo_sql(:transaction_id) \gexec
TABLE "T'; DROP TABLE packages; --";
SET client_min_messages = warning;
DROP SCHEMA undo CASCADE;
