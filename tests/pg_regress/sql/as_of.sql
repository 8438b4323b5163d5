-- One record at a point in time.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA asof;
GRANT USAGE ON SCHEMA asof TO regress_reader;
SET search_path = asof;
-- Moments are kept by name, since none is known beforehand; messages show them as TIME.
CREATE TABLE moments (name text PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION remember(name text) RETURNS void LANGUAGE sql AS $$ INSERT INTO asof.moments VALUES ($1) $$;
CREATE FUNCTION at(name text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT m.at FROM asof.moments m WHERE m.name = $1
$$;
CREATE FUNCTION try(statement text) RETURNS TABLE (code text, message text, hint text) LANGUAGE sql AS $$
    SELECT code, regexp_replace(message, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g'), hint
    FROM t.try(statement)
$$;
CREATE FUNCTION life(of_table regclass, key text) RETURNS TABLE (name text, row_then text)
LANGUAGE plpgsql AS $$
BEGIN
    FOR name IN SELECT m.name FROM asof.moments m ORDER BY m.at LOOP
        BEGIN
            row_then := audit.record_as_of(of_table, key, asof.at(name));
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            row_then := regexp_replace(SQLERRM, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g');
        END;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT remember('before') \g /dev/null
CREATE TABLE packages (id integer PRIMARY KEY, status text, weights numeric(6,2)[], note jsonb);
INSERT INTO packages VALUES (1, 'here before', '{1.50}', '{"a": [1, null]}');
SELECT audit.enable_tracking('packages');
SELECT remember('tracked') \g /dev/null
INSERT INTO packages VALUES (42, 'received', '{1.50,NULL}', 'null');
SELECT remember('received') \g /dev/null
UPDATE packages SET status = 'picked up' WHERE id = 42;
SELECT remember('picked up') \g /dev/null
UPDATE packages SET id = 43 WHERE id = 42;
SELECT remember('moved') \g /dev/null
DELETE FROM packages WHERE id = 43;
SELECT remember('deleted') \g /dev/null
SELECT * FROM life('packages', '42');
SELECT * FROM life('packages', '43');
SELECT * FROM life('packages', '1');
-- the twin for keys of any type
SELECT audit.record_as_of('packages', 42, at('received'));
SELECT audit.record_as_of('packages', 42::bigint, at('received')) ->> 'status';
-- several changes of one transaction, and what this transaction has done so far
BEGIN;
INSERT INTO packages VALUES (44, 'one');
SELECT remember('inside') \g /dev/null
UPDATE packages SET status = 'two' WHERE id = 44;
SAVEPOINT s;
DELETE FROM packages WHERE id = 44;
ROLLBACK TO s;
SELECT audit.record_as_of('packages', 44, at('inside')) ->> 'status',
       audit.record_as_of('packages', 44, clock_timestamp()) ->> 'status';
COMMIT;
SELECT audit.record_as_of('packages', 44, at('inside')) ->> 'status';
-- wrong input
SELECT * FROM try($$SELECT audit.record_as_of(NULL, '1', now())$$);
SELECT * FROM try($$SELECT audit.record_as_of('asof.packages', NULL::text, now())$$);
SELECT * FROM try($$SELECT audit.record_as_of('asof.packages', '1', NULL)$$);
SELECT * FROM try($$SELECT audit.record_as_of('asof.packages', '1', 'infinity')$$);
SELECT * FROM try($$SELECT audit.record_as_of('asof.packages', '1', now() + interval '1 minute')$$);
SELECT * FROM try($$SELECT audit.record_as_of('asof.packages', '1', '-infinity')$$);
SELECT * FROM try($$SELECT audit.record_as_of('asof.packages', 'one', now())$$);
SELECT * FROM try($$SELECT audit.record_as_of(4294967295, '1', now())$$);
SELECT * FROM try($$SELECT audit.record_as_of('asof.moments', 'x', now())$$);
CREATE VIEW seen AS SELECT * FROM packages;
SELECT * FROM try($$SELECT audit.record_as_of('asof.seen', '1', now())$$);
CREATE TABLE keyless (v text);
SELECT audit.enable_tracking('keyless');
SELECT * FROM try($$SELECT audit.record_as_of('asof.keyless', '1', now())$$);
-- composite keys, partitions, names with everything
CREATE TABLE "Ünï ""q"" t" ("B b" text, a integer, "select" text, PRIMARY KEY (a, "B b"))
    PARTITION BY LIST (a);
CREATE TABLE "p 1" PARTITION OF "Ünï ""q"" t" FOR VALUES IN (1);
CREATE TABLE "p 2" PARTITION OF "Ünï ""q"" t" FOR VALUES IN (2);
SELECT audit.enable_tracking('"Ünï ""q"" t"');
DELETE FROM moments;
INSERT INTO "Ünï ""q"" t" VALUES ('x''y', 1, 'one'), ('z', 2, 'two');
SELECT remember('inserted') \g /dev/null
UPDATE "Ünï ""q"" t" SET "select" = 'changed', a = 2 WHERE a = 1;
SELECT remember('moved') \g /dev/null
TRUNCATE "p 2";
SELECT remember('one partition emptied') \g /dev/null
INSERT INTO "p 2" VALUES ('z', 2, 'again');
SELECT remember('again') \g /dev/null
SELECT * FROM life('"Ünï ""q"" t"', '[1,"x''y"]');
SELECT * FROM life('"Ünï ""q"" t"', '[2,"x''y"]');
SELECT * FROM life('"p 2"', '[2, "z"]');
-- TRUNCATE, with and without its rows
CREATE TABLE emptied (id integer PRIMARY KEY, v text);
INSERT INTO emptied VALUES (1, 'was there'), (2, 'was there');
SELECT audit.enable_tracking('emptied');
DELETE FROM moments;
SELECT remember('untouched') \g /dev/null
UPDATE emptied SET v = 'changed' WHERE id = 1;
SELECT remember('changed') \g /dev/null
TRUNCATE emptied;
SELECT remember('emptied') \g /dev/null
SELECT * FROM life('emptied', '1');
SELECT * FROM life('emptied', '2');
SELECT * FROM try(format($$SELECT audit.record_as_of('asof.emptied', 2, %L)$$, at('changed')));
SELECT audit.enable_tracking('emptied', log_truncated_rows => true);
INSERT INTO emptied VALUES (2, 'new');
DELETE FROM moments;
SELECT remember('filled') \g /dev/null
TRUNCATE emptied;
SELECT remember('emptied') \g /dev/null
SELECT * FROM life('emptied', '2');
SELECT * FROM life('emptied', '3');
-- detail changed: fields that never changed come from the nearest whole image
CREATE TABLE sparse (id integer PRIMARY KEY, a text, b text, c text);
INSERT INTO sparse VALUES (1, 'a0', 'b0', 'c0'), (2, 'a0', 'b0', 'c0');
SELECT audit.enable_tracking('sparse', detail => 'changed');
DELETE FROM moments;
SELECT remember('start') \g /dev/null
UPDATE sparse SET a = 'a1';
SELECT remember('a') \g /dev/null
UPDATE sparse SET b = 'b1', a = 'a2';
SELECT remember('b') \g /dev/null
DELETE FROM sparse WHERE id = 2;
SELECT remember('deleted') \g /dev/null
SELECT * FROM life('sparse', '1');
SELECT * FROM life('sparse', '2');
UPDATE sparse SET id = 9;
SELECT * FROM try(format($$SELECT audit.record_as_of('asof.sparse', 1, %L)$$, at('b')));
-- detail delta keeps whole new images
SELECT audit.enable_tracking('sparse', detail => 'delta');
UPDATE sparse SET c = 'c1';
DELETE FROM moments;
SELECT remember('c') \g /dev/null
UPDATE sparse SET a = 'a3', b = 'b3', c = 'c3';
SELECT * FROM life('sparse', '9');
-- times at which nothing was recorded
SELECT audit.disable_tracking('sparse', 'pause');
SELECT remember('pause') \g /dev/null
UPDATE sparse SET a = 'unseen';
SELECT audit.enable_tracking('sparse');
SELECT remember('again') \g /dev/null
SELECT * FROM life('sparse', '9');
SELECT * FROM life('sparse', '1');
SELECT * FROM try(format($$SELECT audit.record_as_of('asof.sparse', 9, %L)$$, at('pause')));
-- hidden columns are as in the log: excluded ones absent, masked ones null, also when the live row is read
CREATE TABLE people (id integer PRIMARY KEY, name text, secret text, pin text);
INSERT INTO people VALUES (1, 'ada', 'LEAK', 'LEAK');
SELECT audit.enable_tracking('people', exclude => '{secret}', mask => '{pin}');
DELETE FROM moments;
SELECT remember('live') \g /dev/null
SELECT * FROM life('people', '1');
UPDATE people SET name = 'Ada', pin = 'LEAK2';
SELECT remember('logged') \g /dev/null
SELECT * FROM life('people', '1');
-- a table made again under an old name has no part in what was before
DROP TABLE people;
CREATE TABLE people (id integer PRIMARY KEY, name text);
SELECT audit.enable_tracking('people');
SELECT remember('made again') \g /dev/null
SELECT * FROM life('people', '1');
-- the log needs audit_reader; the live row needs the caller's own right, and all rows to be visible
SET ROLE regress_app;
SELECT code FROM t.try($$SELECT audit.record_as_of('asof.packages', '1', now())$$);
SET ROLE regress_reader;
SELECT code, message FROM t.try($$SELECT audit.record_as_of('asof.packages', '1', now())$$);
RESET ROLE;
SELECT current_user AS me \gset
CREATE POLICY some_rows ON packages USING (id > 40);
ALTER TABLE packages ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON packages TO regress_reader;
ALTER TABLE packages OWNER TO regress_owner;
SET ROLE regress_reader;
SELECT * FROM t.try($$SELECT audit.record_as_of('asof.packages', '1', now())$$);
-- what is in the log needs no live row
SELECT audit.record_as_of('asof.packages', '44', clock_timestamp()) ->> 'status';
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA asof CASCADE;
