-- A whole table at a point in time.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA taso;
GRANT USAGE ON SCHEMA taso TO regress_reader;
SET search_path = taso;
CREATE FUNCTION try(statement text) RETURNS TABLE (code text, message text, hint text) LANGUAGE sql AS $$
    SELECT code, regexp_replace(message, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g'),
           regexp_replace(hint, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g')
    FROM t.try(statement)
$$;
-- Every type of value comes back as it was, from the log and from the live row.
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone text, v text, n numeric,
    f float8, at timestamptz, iv interval, raw bytea, words text[], p pair, r int4range, doc jsonb,
    twice numeric GENERATED ALWAYS AS (n * 2) STORED);
ALTER TABLE things DROP gone;
SELECT audit.enable_tracking('things');
INSERT INTO things (v, n, f, at, iv, raw, words, p, r, doc)
SELECT 'it''s ' || i, 1.50 * i, 'Infinity', '-infinity', '-1 day +02:00', '\x00ff', '{"a,b",NULL,""}',
       ROW(i, 'x "y"')::pair, '(,5)', '{"k": [1, null]}'
FROM generate_series(1, 4) i;
SELECT clock_timestamp() AS filled \gset
CREATE TABLE copied AS TABLE things;
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SET bytea_output = 'escape';
UPDATE things SET v = 'changed', raw = '\x01', iv = NULL, p = NULL, f = 0.1, words = '{}' WHERE id = 1;
DELETE FROM things WHERE id = 2;
INSERT INTO things (v) VALUES ('too late');
UPDATE things SET v = 'changed' WHERE id = 3;
UPDATE things SET v = 'changed again' WHERE id = 3;
RESET ALL;
SET search_path = taso;
SELECT * FROM audit.table_as_of(NULL::things, :'filled') ORDER BY id;
(SELECT * FROM audit.table_as_of(NULL::things, :'filled') EXCEPT TABLE copied)
UNION ALL (TABLE copied EXCEPT SELECT * FROM audit.table_as_of(NULL::things, :'filled'));
-- usable like a table
SELECT a.v AS was, t.v AS is FROM audit.table_as_of(NULL::things, :'filled') a JOIN things t USING (id)
WHERE a.v <> t.v ORDER BY id;
-- what this transaction has done so far
BEGIN;
DELETE FROM things WHERE id < 5;
SELECT count(*) FROM audit.table_as_of(NULL::things, clock_timestamp());
ROLLBACK;
-- columns by their name today; those that were missing are null
ALTER TABLE things DROP f;
ALTER TABLE things RENAME v TO w;
ALTER TABLE things ADD added text DEFAULT 'new';
ALTER TABLE things DROP twice, ALTER n TYPE text;
SELECT id, w, n, added FROM audit.table_as_of(NULL::things, :'filled') ORDER BY id;
-- a type that cannot take the old values; the refusal shows none of them
ALTER TABLE things DROP w, ADD v integer;
SELECT * FROM try(format('SELECT * FROM audit.table_as_of(NULL::taso.things, %L)', :'filled'));
-- keys that move and change places
CREATE TABLE places (row_no integer, seat integer, who text,
    PRIMARY KEY (row_no, seat) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO places VALUES (1, 1, 'ada'), (1, 2, 'bob'), (2, 1, 'eve');
ALTER TABLE places DROP CONSTRAINT places_pkey, ADD PRIMARY KEY (row_no, seat);
SELECT audit.enable_tracking('places');
SELECT clock_timestamp() AS seated \gset
UPDATE places SET seat = 9 WHERE who = 'ada';
UPDATE places SET seat = 1 WHERE who = 'bob';
UPDATE places SET seat = 2 WHERE who = 'ada';
SELECT clock_timestamp() AS swapped \gset
DELETE FROM places WHERE seat = 1;
SELECT * FROM audit.table_as_of(NULL::places, :'seated') ORDER BY 1, 2;
SELECT * FROM audit.table_as_of(NULL::places, :'swapped') ORDER BY 1, 2;
-- partitions: all of them, or one; emptied alone and together
CREATE TABLE parted (id integer, part integer, v text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE "part 1" PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE other_parts PARTITION OF parted DEFAULT;
SELECT audit.enable_tracking('parted');
INSERT INTO parted VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c');
SELECT clock_timestamp() AS filled \gset
UPDATE parted SET part = 1 WHERE id = 2;
SELECT clock_timestamp() AS moved \gset
TRUNCATE "part 1";
SELECT clock_timestamp() AS emptied \gset
INSERT INTO parted VALUES (4, 1, 'd');
TRUNCATE parted;
SELECT clock_timestamp() AS all_emptied \gset
SELECT * FROM audit.table_as_of(NULL::parted, :'filled') ORDER BY 1;
SELECT * FROM audit.table_as_of(NULL::parted, :'moved') ORDER BY 1;
SELECT * FROM audit.table_as_of(NULL::"part 1", :'moved') ORDER BY id;
SELECT * FROM audit.table_as_of(NULL::other_parts, :'moved') ORDER BY id;
SELECT * FROM audit.table_as_of(NULL::parted, :'emptied') ORDER BY 1;
SELECT * FROM audit.table_as_of(NULL::parted, :'all_emptied') ORDER BY 1;
DROP TABLE "part 1";
SELECT * FROM try(format('SELECT * FROM audit.table_as_of(NULL::taso.parted, %L)', :'emptied'));
-- TRUNCATE of a table that held rows when tracking began: only what was recorded can come back
CREATE TABLE emptied (id integer PRIMARY KEY, v text);
INSERT INTO emptied VALUES (1, 'before'), (2, 'before');
SELECT audit.enable_tracking('emptied');
UPDATE emptied SET v = 'changed' WHERE id = 1;
SELECT clock_timestamp() AS changed \gset
TRUNCATE emptied;
SELECT * FROM try(format('SELECT * FROM audit.table_as_of(NULL::taso.emptied, %L)', :'changed'));
SELECT audit.enable_tracking('emptied', log_truncated_rows => true);
INSERT INTO emptied VALUES (1, 'second'), (2, 'second');
SELECT clock_timestamp() AS second \gset
TRUNCATE emptied;
INSERT INTO emptied VALUES (1, 'third');
SELECT * FROM audit.table_as_of(NULL::emptied, :'second') ORDER BY id;
-- detail changed, and a pause
CREATE TABLE sparse (id integer PRIMARY KEY, a text, b text);
INSERT INTO sparse VALUES (1, 'a0', 'b0'), (2, 'a0', 'b0'), (3, 'a0', 'b0');
SELECT audit.enable_tracking('sparse', detail => 'changed');
SELECT clock_timestamp() AS start \gset
UPDATE sparse SET a = 'a1';
UPDATE sparse SET b = 'b1' WHERE id < 3;
DELETE FROM sparse WHERE id = 2;
SELECT * FROM audit.table_as_of(NULL::sparse, :'start') ORDER BY id;
SELECT audit.disable_tracking('sparse');
SELECT clock_timestamp() AS pause \gset
SELECT audit.enable_tracking('sparse');
SELECT * FROM try(format('SELECT * FROM audit.table_as_of(NULL::taso.sparse, %L)', :'pause'));
SELECT * FROM try(format('SELECT * FROM audit.table_as_of(NULL::taso.sparse, %L)', :'start'));
SELECT * FROM audit.table_as_of(NULL::sparse, clock_timestamp()) ORDER BY id;
-- hidden columns are null, and one notice says so
CREATE TABLE people (id integer PRIMARY KEY, name text, secret text, pin text);
INSERT INTO people VALUES (1, 'ada', 'LEAK', 'LEAK'), (2, 'bob', 'LEAK', 'LEAK');
SELECT audit.enable_tracking('people', exclude => '{secret}', mask => '{pin}');
SELECT clock_timestamp() AS hidden \gset
UPDATE people SET name = 'Ada' WHERE id = 1;
SELECT * FROM audit.table_as_of(NULL::people, :'hidden') ORDER BY id;
-- wrong input
CREATE TYPE not_a_table AS (a integer);
CREATE VIEW a_view AS SELECT 1 AS a;
CREATE TABLE keyless (v text);
SELECT * FROM try('SELECT * FROM audit.table_as_of(NULL::taso.people, NULL)');
SELECT * FROM try($$SELECT * FROM audit.table_as_of(NULL::taso.people, 'infinity')$$);
SELECT * FROM try('SELECT * FROM audit.table_as_of(1, now())');
SELECT * FROM try('SELECT * FROM audit.table_as_of(NULL::taso.not_a_table, now())');
SELECT * FROM try('SELECT * FROM audit.table_as_of(NULL::taso.a_view, now())');
SELECT * FROM try('SELECT * FROM audit.table_as_of(NULL::taso.keyless, now())');
SELECT * FROM try('SELECT * FROM audit.table_as_of(NULL::taso.copied, now())');
-- who may: the log needs audit_reader, live rows the caller's own right, and all of them to be visible
SET ROLE regress_app;
SELECT code FROM t.try('SELECT * FROM audit.table_as_of(NULL::taso.people, clock_timestamp())');
SET ROLE regress_reader;
SELECT * FROM t.try('SELECT * FROM audit.table_as_of(NULL::taso.people, clock_timestamp())');
RESET ROLE;
GRANT SELECT ON people TO regress_reader;
ALTER TABLE people OWNER TO regress_owner;
SET ROLE regress_reader;
SELECT count(*) FROM audit.table_as_of(NULL::people, clock_timestamp());
RESET ROLE;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
SET ROLE regress_reader;
SELECT * FROM t.try('SELECT * FROM audit.table_as_of(NULL::taso.people, clock_timestamp())');
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA taso CASCADE;
