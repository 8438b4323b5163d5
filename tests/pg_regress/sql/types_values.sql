-- What images look like where types change or say more than their values: enums, composites and domains under
-- way, columns that come with a value, generated and dropped ones, json as written, arrays, fixed-width keys.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA vals;
SET search_path = vals;
SET client_min_messages = warning;
-- an enum gets values, and a value another name: the log keeps what it was called at the time
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE people (name mood PRIMARY KEY, now mood, all_of_them mood[]);
SELECT audit.enable_tracking('people');
SELECT t.mark();
INSERT INTO people VALUES ('sad', 'ok', '{sad,ok}');
ALTER TYPE mood ADD VALUE 'glad' BEFORE 'ok';
INSERT INTO people VALUES ('glad', 'glad', '{glad,NULL}');
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue "é"';
UPDATE people SET now = 'glad' WHERE name = 'blue "é"';
BEGIN;
ALTER TYPE mood RENAME VALUE 'glad' TO 'merry';
UPDATE people SET now = 'ok' WHERE now = 'merry';
ROLLBACK;
UPDATE people SET now = 'ok' WHERE name = 'glad';
BEGIN;
CREATE TYPE weather AS ENUM ('sun', 'rain');
ALTER TABLE people ADD COLUMN sky weather DEFAULT 'rain';
UPDATE people SET sky = 'sun' WHERE name = 'glad';
COMMIT;
:news
-- a composite type changes: the values that are there show its shape of now
CREATE TYPE place AS (street text, nr integer);
CREATE TABLE houses (id integer PRIMARY KEY, at place, also place[]);
SELECT audit.enable_tracking('houses');
SELECT t.mark();
INSERT INTO houses VALUES (1, ('High', 7), '{"(Low,8)"}');
ALTER TYPE place ADD ATTRIBUTE zip text;
INSERT INTO houses VALUES (2, ('Mid', 9, 'x'), NULL);
UPDATE houses SET at.nr = 70 WHERE id = 1;
ALTER TYPE place DROP ATTRIBUTE nr;
UPDATE houses SET at.zip = 'y';
ALTER TYPE place RENAME ATTRIBUTE zip TO "Post ""code""";
UPDATE houses SET also = array_append(also, at) WHERE id = 1;
BEGIN;
ALTER TYPE place ADD ATTRIBUTE gone integer;
UPDATE houses SET at.street = 'x' WHERE id = 2;
ROLLBACK;
DELETE FROM houses;
:news
-- a table of a type changes with it
CREATE TYPE pet AS (id integer, name text);
CREATE TABLE pets OF pet (PRIMARY KEY (id));
SELECT audit.enable_tracking('pets');
SELECT t.mark();
INSERT INTO pets VALUES (1, 'Rex');
ALTER TYPE pet ADD ATTRIBUTE age integer CASCADE, ALTER ATTRIBUTE name TYPE varchar(20) CASCADE;
UPDATE pets SET age = 3;
:news
-- domains: over a composite, not null, with a check that comes later
CREATE DOMAIN named AS pet CHECK ((VALUE).name IS NOT NULL);
CREATE DOMAIN few AS integer[] NOT NULL CHECK (cardinality(VALUE) < 3);
CREATE TABLE owners (id integer PRIMARY KEY, has named, nrs few DEFAULT '{}');
SELECT audit.enable_tracking('owners');
SELECT t.mark();
INSERT INTO owners VALUES (1, (1, 'Rex', 3));
SELECT code FROM t.try($$INSERT INTO vals.owners VALUES (2, (1, 'x', 1), NULL)$$);
SELECT code FROM t.try($$UPDATE vals.owners SET has.name = NULL$$);
UPDATE owners SET nrs = '{1,2}', has.age = 4;
ALTER DOMAIN few DROP NOT NULL;
UPDATE owners SET nrs = NULL;
:news
-- a column that comes with a value: rows written before it show it, and no UPDATE names it
CREATE TABLE grown (id integer PRIMARY KEY, a text);
INSERT INTO grown VALUES (1, 'before'), (2, 'before'), (3, 'before');
SELECT audit.enable_tracking('grown');
SELECT t.mark();
ALTER TABLE grown ADD COLUMN b text DEFAULT 'given', ADD COLUMN c text,
    ADD COLUMN d numeric NOT NULL DEFAULT 1.50;
ALTER TABLE grown ALTER COLUMN b SET DEFAULT 'another';
UPDATE grown SET a = 'after' WHERE id = 1;
UPDATE grown SET b = 'given' WHERE id = 2;
UPDATE grown SET b = 'changed' WHERE id = 2;
DELETE FROM grown WHERE id = 3;
INSERT INTO grown (id) VALUES (4);
ALTER TABLE grown DROP COLUMN b;
ALTER TABLE grown ADD COLUMN b integer DEFAULT 7;
UPDATE grown SET d = 2 WHERE id < 3;
:news
-- generated columns change with what they are made of; an identity shows what was drawn
CREATE TABLE sums (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a integer,
    twice integer GENERATED ALWAYS AS (a * 2) STORED, same integer GENERATED ALWAYS AS (a * 0) STORED);
SELECT audit.enable_tracking('sums');
SELECT t.mark();
INSERT INTO sums (a) VALUES (5), (6);
INSERT INTO sums (id, a) OVERRIDING SYSTEM VALUE VALUES (99, 1);
UPDATE sums SET a = 50 WHERE a = 5;
UPDATE sums SET id = DEFAULT WHERE id = 99;
ALTER TABLE sums ALTER COLUMN same DROP EXPRESSION;
UPDATE sums SET same = 8 WHERE a = 50;
SELECT operation, record_id, old_record_id, changed_fields, old_record, new_record FROM t.news();
-- json is compared as it is written and logged as what it means; jsonb is its meaning
CREATE TABLE papers (id integer PRIMARY KEY, j json, b jsonb);
SELECT audit.enable_tracking('papers');
SELECT t.mark();
INSERT INTO papers VALUES (1, '{"b" : 1, "a": 1.10, "b":2}', '{"b" : 1, "a": 1.10, "b":2}');
UPDATE papers SET j = '{"a":1.10,"b":2}', b = '{"a":1.10,"b":2}';
UPDATE papers SET b = '{"a":1.1,"b":2}';
UPDATE papers SET j = 'null', b = 'null';
UPDATE papers SET j = NULL, b = NULL;
:news
-- zeros, not-a-number and the empty are values like any other
CREATE TABLE nrs (id integer PRIMARY KEY, n numeric, f double precision, r int4range,
    m int4multirange, i interval);
SELECT audit.enable_tracking('nrs');
SELECT t.mark();
INSERT INTO nrs VALUES (1, 0, 0, 'empty', '{}', '0');
UPDATE nrs SET n = '-0.00', f = '-0', r = '(,)', m = '{(,)}', i = '1 day';
UPDATE nrs SET n = 'NaN', f = 'NaN', r = '[1,3)', m = '{[1,3),[7,8]}', i = '24:00:00';
UPDATE nrs SET n = 'NaN', f = 'NaN', r = '[1,2]', m = '{[1,2],[2,2],[7,9)}';
UPDATE nrs SET n = '-Infinity', f = 'Infinity', i = '1 mon';
UPDATE nrs SET n = 1e-10, f = 1e-10, i = '30 days';
:news
-- arrays: a bound is part of the value, but not of its JSON
CREATE TABLE lists (id integer PRIMARY KEY, a integer[]);
SELECT audit.enable_tracking('lists');
SELECT t.mark();
INSERT INTO lists VALUES (0, '{}'), (1, '{1,NULL}'), (2, '{{1,2},{3,NULL}}'), (3, '{{{1},{2}}}'),
    (4, '{{{{1}}}}'), (5, '{{{{{1}}}}}'), (6, '{{{{{{1,2,3}}}}}}'), (7, '[-1:0]={7,8}');
UPDATE lists SET a = '{7,8}' WHERE id = 7;
UPDATE lists SET a[5] = 1 WHERE id = 7;
UPDATE lists SET a[2] = NULL WHERE id = 7;
SELECT operation, record_id, changed_fields, new_record ->> 'a' AS a FROM t.news();
-- keys of fixed width, by value and by text, padded or not; of an array and of a composite
CREATE TABLE k_char (c char(5) PRIMARY KEY);
CREATE TABLE k_array (a integer[] PRIMARY KEY);
CREATE TABLE k_both (c char(3), a place, PRIMARY KEY (c, a));
SELECT count(audit.enable_tracking(n)) FROM unnest('{k_char,k_array,k_both}'::regclass[]) n;
SELECT t.mark();
INSERT INTO k_char VALUES ('ab');
INSERT INTO k_array VALUES ('{1,2}');
INSERT INTO k_both VALUES ('x', ('High', 'z'));
SELECT record_id, new_record FROM t.news();
SELECT count(*) FROM audit.record_history('k_char', 'ab');
SELECT count(*) FROM audit.record_history('k_char', 'ab   ');
SELECT count(*) FROM audit.record_history('k_char', 'ab'::char(5));
SELECT count(*) FROM audit.record_history('k_array', '{1,2}');
SELECT count(*) FROM audit.record_history('k_array', '{1,2}'::integer[]);
DROP SCHEMA vals CASCADE;
