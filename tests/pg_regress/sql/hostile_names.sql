-- Names that try to break quoting: of tables, columns, schemas and roles.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA "s'; DROP TABLE hn.victim; --";
CREATE SCHEMA "Sch. ""x"" $$";
CREATE SCHEMA hn;
SET search_path = hn;
CREATE TABLE victim ();
CREATE TABLE "Robert'); DROP TABLE victim; --" ("I'd" integer PRIMARY KEY, "a""b" text, "$1" text,
    "%I" text);
SELECT audit.enable_tracking('"Robert''); DROP TABLE victim; --"', exclude => ARRAY['a"b'],
    mask => ARRAY['$1']);
INSERT INTO "Robert'); DROP TABLE victim; --" VALUES (1, 'LEAK', 'LEAK', '%s');
SELECT table_name, record_id, new_record FROM t.news() WHERE table_schema = 'hn';
SELECT operation, new_values ->> '%I' AS v
    FROM audit.record_history('"Robert''); DROP TABLE victim; --"', 1);
SELECT table_name, exclude, mask, target FROM audit.tracked_tables WHERE table_schema = 'hn';
-- hostile schemas
CREATE TABLE "s'; DROP TABLE hn.victim; --".t (id integer PRIMARY KEY);
CREATE TABLE "Sch. ""x"" $$"."Tab. ""y"" $$" (id integer PRIMARY KEY);
SELECT audit.enable_tracking('"s''; DROP TABLE hn.victim; --".t');
SELECT audit.enable_tracking('"Sch. ""x"" $$"."Tab. ""y"" $$"');
INSERT INTO "s'; DROP TABLE hn.victim; --".t VALUES (1);
INSERT INTO "Sch. ""x"" $$"."Tab. ""y"" $$" VALUES (1);
TRUNCATE "Sch. ""x"" $$"."Tab. ""y"" $$";
SELECT operation, table_schema, table_name FROM t.news();
-- words of the language, capitals, blanks, line ends, an empty-looking name
CREATE TABLE "select" (id integer PRIMARY KEY, "from" text);
CREATE TABLE "Mixed Case" ("Id" integer PRIMARY KEY, "ID" text, id text);
CREATE TABLE "two
lines" (id integer PRIMARY KEY, "v
w" text);
CREATE TABLE " " (id integer PRIMARY KEY);
SELECT audit.enable_tracking('"select"', exclude => '{from}');
SELECT audit.enable_tracking('"Mixed Case"', exclude => '{ID}');
SELECT audit.enable_tracking(E'"two\nlines"', mask => ARRAY[E'v\nw']);
SELECT audit.enable_tracking('" "');
INSERT INTO "select" VALUES (1, 'LEAK');
INSERT INTO "Mixed Case" VALUES (1, 'LEAK', 'seen');
INSERT INTO "two
lines" VALUES (1, 'LEAK');
INSERT INTO " " VALUES (1);
SELECT replace(table_name, E'\n', '\n') AS table_name, new_record FROM t.news();
-- columns whose names look like the options' own syntax
CREATE TABLE options (id integer PRIMARY KEY, "exclude=v" text, "v#3@1" text, v text, "a#b" text, "@" text,
    "#" text, "=" text, "mask=" text);
SELECT audit.enable_tracking('options', exclude => '{exclude=v,a#b,@}', mask => '{#,=,mask=}');
INSERT INTO options VALUES (1, 'LEAK', 'seen', 'seen', 'LEAK', 'LEAK', 'LEAK', 'LEAK', 'LEAK');
SELECT new_record FROM t.news();
SELECT exclude, mask, status FROM audit.tracked_tables WHERE target = 'options'::regclass;
ALTER TABLE options RENAME "a#b" TO "b#a";
UPDATE options SET "b#a" = 'LEAK';
SELECT count(*) FROM t.news();
SELECT audit.enable_tracking('options', exclude => '{v#3@1,exclude=v,b#a,@,#,=,mask=}');
UPDATE options SET "v#3@1" = 'LEAK', v = 'seen 2';
SELECT changed_fields, new_record ? 'v#3@1' AS leaked FROM t.news();
-- keys whose values look like JSON
CREATE TABLE pairs ("a""]" text, "b,'" text, v text, PRIMARY KEY ("a""]", "b,'"));
SELECT audit.enable_tracking('pairs');
INSERT INTO pairs VALUES ('"],[', E'\\', 'x');
SELECT record_id FROM t.news();
SELECT new_values ->> 'v' AS v FROM audit.record_history('pairs', '["\"],[", "\\"]');
-- names of 63 bytes, one and several bytes per letter: trigger names are cut and stay apart
CREATE TABLE a23456789_123456789_123456789_123456789_123456789_123456789_123 (id integer PRIMARY KEY);
CREATE TABLE a23456789_123456789_123456789_123456789_123456789_123456789_124 (id integer PRIMARY KEY);
CREATE TABLE "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä" ("äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä" integer PRIMARY KEY,
    "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢" text);
SELECT audit.enable_tracking('a23456789_123456789_123456789_123456789_123456789_123456789_123');
SELECT audit.enable_tracking('a23456789_123456789_123456789_123456789_123456789_123456789_124');
SELECT audit.enable_tracking('"äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä"', exclude => '{漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢}');
SELECT audit.enable_tracking('"äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä"', exclude => '{漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢}');
INSERT INTO a23456789_123456789_123456789_123456789_123456789_123456789_123 VALUES (1);
INSERT INTO "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä" VALUES (1, 'LEAK');
TRUNCATE "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä";
SELECT operation, table_name, new_record FROM t.news();
SELECT c.relname, count(*) AS triggers, max(octet_length(g.tgname)) <= 63 AS fits,
    bool_and(g.tgname ~ '_[0-9a-f]{8}$') AS hashed,
       bool_and(g.tgname ^@ 'audit_') AS prefixed, bool_and(g.tgenabled = 'A') AS always
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
    WHERE c.relnamespace = 'hn'::regnamespace AND octet_length(c.relname) > 60 GROUP BY 1
    ORDER BY c.relname COLLATE "C";
SELECT tgname FROM pg_trigger WHERE tgrelid = '"select"'::regclass ORDER BY 1;
-- hostile roles
CREATE ROLE "regress_ro""le'; --";
GRANT ALL ON SCHEMA hn TO "regress_ro""le'; --";
GRANT ALL ON "select" TO "regress_ro""le'; --";
SET ROLE "regress_ro""le'; --";
INSERT INTO "select" VALUES (2, 'LEAK');
RESET ROLE;
SELECT actor_role FROM t.news();
-- functions and operators of the caller's search_path are not ours to call
CREATE FUNCTION hn.format(text, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE 'caught'; END$$;
CREATE FUNCTION hn.quote_ident(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE 'caught'; END$$;
CREATE FUNCTION hn.md5(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE 'caught'; END$$;
CREATE FUNCTION hn.eq(name, name) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'caught'; END$$;
CREATE OPERATOR hn.= (LEFTARG = name, RIGHTARG = name, FUNCTION = hn.eq);
CREATE VIEW hn.pg_class AS SELECT 1 AS oid;
SET search_path = hn, pg_catalog;
SELECT audit.enable_tracking('victim');
INSERT INTO victim DEFAULT VALUES;
SELECT operation, table_name, new_record FROM t.news();
SELECT operation FROM audit.record_history('select', 1);
SELECT count(*) FROM audit.tracked_tables WHERE table_schema OPERATOR(pg_catalog.=) 'hn'
    AND status OPERATOR(pg_catalog.=) 'ok';
SELECT audit.disable_tracking('victim');
RESET search_path;
SELECT count(*) FROM audit.audit_log l WHERE to_jsonb(l)::text LIKE '%LEAK%'
    AND table_schema IN ('hn', 'Sch. "x" $$');
SET client_min_messages = warning;
DROP SCHEMA hn, "s'; DROP TABLE hn.victim; --", "Sch. ""x"" $$" CASCADE;
DROP ROLE "regress_ro""le'; --";
