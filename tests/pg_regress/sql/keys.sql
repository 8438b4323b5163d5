-- Keys: of one column of any type, of several, by replica identity, none; history by key.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA keys;
SET search_path = keys;
CREATE TABLE k_int (id integer PRIMARY KEY, v text);
CREATE TABLE k_big (id bigint PRIMARY KEY, v text);
CREATE TABLE k_text (code text PRIMARY KEY, v text);
CREATE TABLE k_uuid (id uuid PRIMARY KEY, v text);
CREATE TABLE k_time (at timestamptz PRIMARY KEY, v text);
CREATE TABLE k_pair (v text, b integer, a integer, PRIMARY KEY (a, b));
CREATE TABLE k_mix (id integer, code text, day date, u uuid, PRIMARY KEY (code, id, day, u));
CREATE TABLE k_none (v text);
CREATE TABLE k_ident (v text, id integer NOT NULL, w text);
CREATE UNIQUE INDEX k_ident_key ON k_ident (id);
ALTER TABLE k_ident REPLICA IDENTITY USING INDEX k_ident_key;
CREATE TABLE k_full (v text);
ALTER TABLE k_full REPLICA IDENTITY FULL;
CREATE TABLE k_unique (id integer UNIQUE NOT NULL, v text);
SELECT count(audit.enable_tracking(('keys.' || name)::regclass)) FROM unnest(ARRAY[
    'k_int', 'k_big', 'k_text', 'k_uuid', 'k_time', 'k_pair', 'k_mix', 'k_none', 'k_ident', 'k_full',
    'k_unique']) name;
SELECT t.mark();
INSERT INTO k_int VALUES (-7, 'x');
INSERT INTO k_big VALUES (9007199254740993, 'x');
INSERT INTO k_text VALUES ('a "b" c', 'x'), ('', 'x'), ('[1,2]', 'x'), ('  7 ', 'x');
INSERT INTO k_uuid VALUES ('0199AAAA-BBBB-7CCC-8DDD-EEEEFFFF0000', 'x');
INSERT INTO k_time VALUES ('2026-03-01 12:00+02', 'x');
INSERT INTO k_pair VALUES ('x', 3, 7);
INSERT INTO k_mix VALUES (5, 'a"b', '2026-03-01', '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000');
INSERT INTO k_none VALUES ('x');
INSERT INTO k_ident VALUES ('x', 4, 'y');
INSERT INTO k_full VALUES ('x');
INSERT INTO k_unique VALUES (1, 'x');
SELECT table_name, record_id FROM t.news();
-- the key of an UPDATE and a DELETE; old_record_id only when the key changes
UPDATE k_int SET v = 'y';
UPDATE k_int SET id = 8, v = 'z';
DELETE FROM k_int;
UPDATE k_pair SET b = 4;
DELETE FROM k_pair;
UPDATE k_ident SET id = 5;
UPDATE k_none SET v = 'y';
DELETE FROM k_none;
SELECT operation, table_name, record_id, old_record_id, changed_fields FROM t.news();
-- history by a bare literal, by the key's own type, by text; a changed key is found under both
\set hist 'SELECT operation, record_id, new_values FROM audit.record_history'
:hist ('k_int', -7);
:hist ('k_int', '8');
:hist ('k_int', ' 08 ');
:hist ('k_int', 8::bigint);
:hist ('k_big', 9007199254740993);
:hist ('k_text', 'a "b" c');
:hist ('k_text', '[1,2]');
:hist ('k_text', '');
:hist ('k_text', '7');
:hist ('k_uuid', '0199AAAABBBB7CCC8DDDEEEEFFFF0000');
:hist ('k_uuid', '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000'::uuid);
SET timezone = 'Asia/Kathmandu';
:hist ('k_time', '2026-03-01 10:00+00');
:hist ('k_time', timestamptz '2026-03-01 10:00+00');
RESET timezone;
:hist ('k_pair', '[7,3]');
:hist ('k_pair', '[7, 4]');
:hist ('k_pair', '[7, 4]'::jsonb);
:hist ('k_pair', ' ["7", 4] ');
:hist ('k_mix', '["a\"b", 5, "2026-03-01", "0199AAAA-bbbb-7ccc-8ddd-eeeeffff0000"]');
:hist ('k_ident', 4);
-- a key that never was has no history
:hist ('k_int', 4711);
-- the latest few, still in the order of the changes
:hist ('k_int', -7, max_rows => 2);
:hist ('k_int', -7, max_rows => 0);
-- the columns of a history
SELECT * FROM audit.record_history('k_int', 4711);
-- nonsense
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_int', 'seven')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_uuid', 'seven')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_pair', '7')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_pair', '[7]')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_pair', '[7,3,1]')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_pair', '[7,"x"]')$$);
SELECT code FROM t.try($$SELECT * FROM audit.record_history('keys.k_pair', '[7,null]')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_pair', '{"a": 7}')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_pair', '[7,')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_none', '7')$$);
SELECT * FROM t.try($$SELECT * FROM audit.record_history('keys.k_int', '7', -1)$$);
-- a key that is made or changed later counts from then on
ALTER TABLE k_none ADD COLUMN id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
INSERT INTO k_none VALUES ('x');
ALTER TABLE k_unique REPLICA IDENTITY USING INDEX k_unique_id_key;
UPDATE k_unique SET v = 'y';
ALTER TABLE k_int DROP CONSTRAINT k_int_pkey, ADD PRIMARY KEY (v, id);
INSERT INTO k_int VALUES (1, 'x');
ALTER TABLE k_big DROP CONSTRAINT k_big_pkey;
INSERT INTO k_big VALUES (1, 'x');
ALTER TABLE k_uuid RENAME COLUMN id TO uid;
UPDATE k_uuid SET v = 'y';
SELECT table_name, record_id FROM t.news();
-- the history of a table that is gone stays under its name
SELECT count(*) FROM audit.changes WHERE table_schema = 'keys' AND table_name = 'k_full';
SET client_min_messages = warning;
DROP SCHEMA keys CASCADE;
SELECT count(*) FROM audit.changes WHERE table_schema = 'keys' AND table_name = 'k_full';
