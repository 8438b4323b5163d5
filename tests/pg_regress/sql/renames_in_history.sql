-- The history of a table follows it through its names.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set hist 'SELECT operation, table_schema, table_name, new_values FROM audit.record_history'
CREATE SCHEMA named;
CREATE SCHEMA "Other ""s""";
SET search_path = named;
CREATE TABLE first_name (id integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('first_name');
INSERT INTO first_name VALUES (1, 'one');
SELECT clock_timestamp() AS as_first_name \gset
ALTER TABLE first_name RENAME TO "Second ""n""";
UPDATE "Second ""n""" SET v = 'two';
SELECT clock_timestamp() AS as_second_name \gset
ALTER TABLE "Second ""n""" SET SCHEMA "Other ""s""";
UPDATE "Other ""s"""."Second ""n""" SET v = 'three';
ALTER SCHEMA "Other ""s""" RENAME TO elsewhere;
ALTER TABLE elsewhere."Second ""n""" RENAME TO third_name;
UPDATE elsewhere.third_name SET v = 'four';
:hist ('elsewhere.third_name', 1);
-- the latest few over all names
:hist ('elsewhere.third_name', 1, max_rows => 2);
SELECT audit.record_as_of('elsewhere.third_name', 1, :'as_first_name'),
       audit.record_as_of('elsewhere.third_name', 1, :'as_second_name');
SELECT * FROM audit.table_as_of(NULL::elsewhere.third_name, :'as_second_name');
-- another table takes a name over: each has its own history
CREATE TABLE first_name (id integer PRIMARY KEY, other text);
SELECT audit.enable_tracking('first_name');
INSERT INTO first_name VALUES (1, 'of another table');
:hist ('first_name', 1);
:hist ('elsewhere.third_name', 1);
SELECT code, regexp_replace(message, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g') AS message
FROM t.try(format($$SELECT audit.record_as_of('named.first_name', 1, %L)$$, :'as_first_name'));
-- two tables swap their names, in one transaction
CREATE TABLE a (id integer PRIMARY KEY, v text);
CREATE TABLE b (id integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('a');
SELECT audit.enable_tracking('b');
INSERT INTO a VALUES (1, 'in a');
INSERT INTO b VALUES (1, 'in b');
BEGIN;
ALTER TABLE a RENAME TO between;
ALTER TABLE b RENAME TO a;
ALTER TABLE between RENAME TO b;
COMMIT;
UPDATE a SET v = v || ', then a';
:hist ('a', 1);
:hist ('b', 1);
-- there and back again; a rename that was rolled back is none
ALTER TABLE a RENAME TO c;
UPDATE c SET v = 'as c';
ALTER TABLE c RENAME TO a;
BEGIN;
ALTER TABLE a RENAME TO d;
UPDATE d SET v = 'never';
ROLLBACK;
UPDATE a SET v = 'as a';
:hist ('a', 1);
-- what was done under an old name is undone under the new one
BEGIN;
SELECT pg_current_xact_id()::text AS transaction_id \gset
UPDATE a SET v = 'undone';
COMMIT;
ALTER TABLE a RENAME TO renamed_since;
SELECT * FROM audit.undo_sql(:transaction_id);
SET client_min_messages = warning;
DROP SCHEMA named, elsewhere CASCADE;
