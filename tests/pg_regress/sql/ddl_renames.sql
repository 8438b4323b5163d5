-- Renamed tables, schemas and columns: hidden columns stay hidden, and every new name is recorded.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT code, message, hint FROM t.try'
\set arguments 'SELECT t.arguments();'
SELECT coalesce(max(id), 0) AS seen FROM audit.guard_events \gset
\set events 'SELECT kind, object, detail - \'options\' - \'now\' - \'since\' AS detail, detail -> \'now\' -> \'exclude\' AS now FROM audit.guard_events WHERE id > :seen ORDER BY id;'
CREATE SCHEMA ren;
SET search_path = ren;
-- the numbers of tables differ from run to run
CREATE FUNCTION t.arguments() RETURNS TABLE (relation regclass, enabled "char", arguments text) LANGUAGE sql AS $$
    SELECT tgrelid::regclass, tgenabled,
           regexp_replace(replace(encode(tgargs, 'escape'), '\000', ' '), '@\d+', '@', 'g')
    FROM pg_trigger WHERE tgfoid = 'audit.log_changes'::regproc AND tgtype & 1 = 1
    ORDER BY tgrelid::regclass::text
$$;
CREATE TABLE people (id integer PRIMARY KEY, name text, secret text, org_id integer, pin text);
SELECT audit.enable_tracking('people', exclude => '{secret}', mask => '{pin}');
SELECT t.mark();
INSERT INTO people VALUES (1, 'ada', 'LEAK', 7, 'LEAK');
-- each name that a hidden column ever had stays hidden
ALTER TABLE people RENAME secret TO token;
ALTER TABLE people RENAME pin TO code;
ALTER TABLE people RENAME org_id TO team;
:arguments
-- the way of a migration that fills a new column from the old one
ALTER TABLE people ADD secret text;
UPDATE people SET secret = token, name = 'Ada';
ALTER TABLE people DROP token;
ALTER TABLE people RENAME secret TO sealed;
UPDATE people SET sealed = 'LEAK', name = 'ADA';
:arguments
-- names that swap by way of a third
ALTER TABLE people RENAME sealed TO spare;
ALTER TABLE people RENAME name TO sealed;
ALTER TABLE people RENAME spare TO name;
UPDATE people SET sealed = 'hidden, too', name = 'LEAK', team = 8;
SELECT operation, record_id, changed_fields, old_record, new_record, tenant_id FROM t.news();
SELECT exclude, mask, tenant_column, status FROM audit.tracked_tables WHERE target = 'people'::regclass;
SELECT count(*) FROM audit.audit_log WHERE table_schema = 'ren' AND (old_record::text || new_record::text) LIKE '%LEAK%';
:events
-- a rename that is rolled back
SELECT max(id) AS seen FROM audit.guard_events \gset
BEGIN;
ALTER TABLE people RENAME name TO other;
SAVEPOINT s;
ALTER TABLE people RENAME other TO third;
ROLLBACK TO s;
INSERT INTO people (id, other, sealed) VALUES (2, 'LEAK', 'LEAK');
ROLLBACK;
:events
:arguments
-- tables and schemas
ALTER TABLE people RENAME TO "Per ""sons""";
CREATE SCHEMA "Ren Two";
ALTER TABLE "Per ""sons""" SET SCHEMA "Ren Two";
ALTER SCHEMA "Ren Two" RENAME TO ren3;
SET search_path = ren3, ren;
ALTER TABLE "Per ""sons""" RENAME TO persons;
ALTER INDEX persons RENAME TO people;
ALTER TABLE people SET SCHEMA ren;
ALTER TABLE people SET SCHEMA ren;
:events
SELECT target, since IS NOT NULL AS since, status FROM audit.tracked_tables WHERE table_schema LIKE 'ren%';
-- what is not tracked leaves no event, nor do a view, a sequence, a temporary table
SELECT max(id) AS seen FROM audit.guard_events \gset
SET search_path = ren;
CREATE TABLE free (id integer, secret text);
ALTER TABLE free RENAME TO freer;
ALTER TABLE freer RENAME secret TO token;
CREATE VIEW shown AS SELECT * FROM people;
ALTER VIEW shown RENAME COLUMN id TO number;
ALTER VIEW shown RENAME TO showing;
ALTER VIEW showing SET SCHEMA ren3;
CREATE TEMP TABLE passing (id integer, secret text);
ALTER TABLE passing RENAME secret TO token;
ALTER TABLE passing RENAME TO passed;
:events
-- options without numbers, as by hand or after a restore
CREATE TABLE byhand (id integer PRIMARY KEY, secret text, v text);
CREATE TRIGGER mine AFTER INSERT OR UPDATE OR DELETE ON byhand FOR EACH ROW
    EXECUTE FUNCTION audit.log_changes('exclude=secret', 'tenant=v');
ALTER TABLE byhand RENAME secret TO token;
ALTER TABLE byhand RENAME v TO w;
INSERT INTO byhand VALUES (1, 'LEAK', 'x');
SELECT record_id, new_record, tenant_id FROM t.news('byhand');
SELECT arguments FROM t.arguments() WHERE relation = 'byhand'::regclass;
-- arguments that nobody can read stay as they are, and hide everything
CREATE TABLE broken (id integer PRIMARY KEY, secret text);
CREATE TRIGGER mine AFTER INSERT OR UPDATE OR DELETE ON broken FOR EACH ROW
    EXECUTE FUNCTION audit.log_changes('exclud=secret');
ALTER TABLE broken RENAME secret TO token;
SELECT arguments FROM t.arguments() WHERE relation = 'broken'::regclass;
-- partitions, in which columns have other numbers
CREATE TABLE parts (id integer, junk integer, secret text, k integer, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
ALTER TABLE parts DROP junk;
CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
SELECT audit.enable_tracking('parts', exclude => '{secret}');
ALTER TABLE parts RENAME secret TO token;
CREATE TABLE part2 (k integer NOT NULL, token text, id integer NOT NULL, PRIMARY KEY (id, k));
ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES IN (2);
INSERT INTO parts VALUES (1, 'LEAK', 1), (1, 'LEAK', 2);
SELECT record_id, new_record FROM t.news('parts');
SELECT * FROM t.arguments() WHERE relation::text LIKE 'part%';
-- a table made of a type
CREATE TYPE shape AS (id integer, secret text);
CREATE TABLE typed OF shape (PRIMARY KEY (id));
SELECT audit.enable_tracking('typed', exclude => '{secret}');
ALTER TYPE shape RENAME ATTRIBUTE secret TO token CASCADE;
INSERT INTO typed VALUES (1, 'LEAK');
SELECT new_record FROM t.news('typed');
SELECT arguments FROM t.arguments() WHERE relation = 'typed'::regclass;
-- children that inherit in the old way and are tracked themselves
CREATE TABLE parent (id integer PRIMARY KEY, secret text);
CREATE TABLE child () INHERITS (parent);
SELECT audit.enable_tracking('child', exclude => '{secret}');
ALTER TABLE parent RENAME secret TO token;
SELECT arguments FROM t.arguments() WHERE relation = 'child'::regclass;
-- while changes wait for the end of the transaction
CREATE TABLE boss (id integer PRIMARY KEY, secret text,
    boss integer REFERENCES boss DEFERRABLE INITIALLY DEFERRED);
SELECT audit.enable_tracking('boss', exclude => '{secret}');
BEGIN;
INSERT INTO boss VALUES (1, 'LEAK', 2), (2, 'LEAK', 1);
ALTER TABLE boss RENAME secret TO token;
UPDATE boss SET token = 'LEAK2', boss = 1;
COMMIT;
SELECT operation, new_record FROM t.news('boss');
-- an owner who has no rights in audit whatever
GRANT CREATE ON SCHEMA ren TO regress_app;
GRANT USAGE ON SCHEMA ren TO regress_app;
CREATE TABLE owned (id integer PRIMARY KEY, secret text);
SELECT audit.enable_tracking('owned', exclude => '{secret}');
ALTER TABLE owned OWNER TO regress_app;
SET ROLE regress_app;
ALTER TABLE owned RENAME secret TO token;
ALTER TABLE owned RENAME TO mine;
INSERT INTO mine VALUES (1, 'LEAK');
:try ('SELECT audit._set_always(1)');
:try ($$SELECT audit._renew_arguments(1, '{}', 'a', 'b')$$);
:try ($$SELECT audit._plan_after_ddl('', '', '')$$);
:try ($$SELECT audit._run_after_ddl('[]')$$);
:try ('SELECT audit._on_ddl_end()');
RESET ROLE;
SELECT table_name, new_record FROM t.news('mine');
SELECT arguments FROM t.arguments() WHERE relation = 'mine'::regclass;
SELECT kind, object, actor_role FROM audit.guard_events WHERE object = 'ren.mine' ORDER BY id;
DROP FUNCTION t.arguments;
DROP SCHEMA ren, ren3 CASCADE;
