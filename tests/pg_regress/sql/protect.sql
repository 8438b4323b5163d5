-- protect: which tables, which retentions, what is refused afterwards, and what an owner may do.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
-- leaves are there
SELECT count(*) >= 0 AS done FROM audit.maintain_partitions();
-- one transaction, because a protected table cannot be dropped
BEGIN;
CREATE SCHEMA prot AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA prot TO PUBLIC;
SET LOCAL search_path = prot;
SET LOCAL ROLE regress_owner;
CREATE TABLE consents (id integer PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), v text,
    later timestamptz);
SELECT audit.protect('consents');
-- triggers, and what they are told
SELECT tgname, tgenabled, tgtype & 1 = 1 AS per_row, tgtype & 2 = 2 AS is_before, tgtype & 60 AS events,
       regexp_replace(encode(tgargs, 'escape'), '@\d+', '@oid') AS arguments
    FROM pg_trigger WHERE tgrelid = 'consents'::regclass ORDER BY tgname;
SELECT table_schema, table_name, target, is_stream, retention, timestamp_column, oldest, holds, is_in_force
    FROM audit.protected_tables WHERE target = 'consents'::regclass;
RESET ROLE;
SELECT kind, object, detail, login_role = session_user AS me FROM audit.guard_events
    WHERE object = 'prot.consents' ORDER BY id;
SELECT table_schema, table_name, timestamp_column, retention, set_by = session_user AS me
    FROM audit.guard_policies WHERE table_schema = 'prot' ORDER BY id;
SET LOCAL ROLE regress_owner;
-- rows come with the time of now, and stay
INSERT INTO consents VALUES (1, DEFAULT, 'SECRET');
SELECT * FROM t.try('UPDATE prot.consents SET v = NULL');
SELECT * FROM t.try('UPDATE prot.consents SET v = NULL WHERE false');
SELECT * FROM t.try('DELETE FROM prot.consents');
SELECT * FROM t.try('DELETE FROM prot.consents WHERE false');
SELECT * FROM t.try('TRUNCATE prot.consents');
SELECT * FROM t.try($$INSERT INTO prot.consents VALUES (2, now() - interval '3 days')$$);
SELECT * FROM t.try($$INSERT INTO prot.consents VALUES (2, now() + interval '3 days')$$);
-- again: nothing new, longer, shorter, another column
SELECT audit.protect('consents');
SELECT audit.protect('consents', '84 months', 'created_at');
SELECT audit.protect('consents', '8 years');
SELECT * FROM t.try($$SELECT audit.protect('prot.consents')$$);
SELECT * FROM t.try($$SELECT audit.protect('prot.consents', '2922 days')$$);
SELECT * FROM t.try($$SELECT audit.protect('prot.consents', '8 years', 'later')$$);
-- only ever longer
SELECT audit.extend_retention('consents', '8 years 1 day');
SELECT audit.extend_retention('consents', '3000 days 240:00');
SELECT audit.extend_retention('consents', 'P9Y');
SELECT * FROM t.try($$SELECT audit.extend_retention('prot.consents', '9 years')$$);
SELECT * FROM t.try($$SELECT audit.extend_retention('prot.consents', '1 year')$$);
SELECT retention FROM audit.protected_tables WHERE target = 'consents'::regclass;
RESET ROLE;
SELECT kind, detail FROM audit.guard_events WHERE object = 'prot.consents' ORDER BY id;
-- what is no retention
SELECT r AS retention, e.code, e.message, e.hint
    FROM unnest('{NULL,"0","23 hours","-1 day","1 year -1 day","1001 years","1000 years 2 days"}'::text[]) r,
        LATERAL t.try(format('SELECT audit.protect(%L, %L)', 'prot.consents', r)) e;
SELECT * FROM t.try($$SELECT audit.extend_retention('prot.consents', NULL)$$);
-- which column says how old a row is
CREATE TABLE by_logged_at (created_at text, occurred_at timestamptz, logged_at timestamp);
CREATE TABLE by_domain (at date);
CREATE DOMAIN day AS date;
CREATE DOMAIN birthday AS day;
CREATE TABLE by_birthday (occurred_at birthday);
CREATE TABLE without_time (id integer, "when" time, "at" text);
SELECT audit.protect('by_logged_at', '24 hours');
SELECT audit.protect('by_domain', '1 mon', 'at');
SELECT audit.protect('by_birthday', '@ 1 year 2 mons');
SELECT * FROM t.try($$SELECT audit.protect('prot.without_time')$$);
SELECT * FROM t.try($$SELECT audit.protect('prot.without_time', timestamp_column => 'when')$$);
SELECT * FROM t.try($$SELECT audit.protect('prot.without_time', timestamp_column => 'ctid')$$);
SELECT * FROM t.try($$SELECT audit.protect('prot.without_time', timestamp_column => 'x'' OR true')$$);
-- a row is looked at afterwards where it may still change, or where its time is computed
CREATE TABLE computed (id integer, day integer,
    created_at date GENERATED ALWAYS AS (date '2026-01-01' + day) STORED);
SELECT audit.protect('computed');
CREATE TABLE changed (created_at timestamptz);
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.created_at := '1970-01-01'; RETURN NEW; END$$;
CREATE TRIGGER zz BEFORE INSERT ON changed FOR EACH ROW EXECUTE FUNCTION change();
SELECT audit.protect('changed');
SELECT tgrelid::regclass, tgtype & 2 = 2 AS is_before FROM pg_trigger
    WHERE tgrelid IN ('computed'::regclass, 'changed'::regclass) AND tgname LIKE 'protect%'
    AND tgtype & 1 = 1 ORDER BY 1;
SELECT code FROM t.try('INSERT INTO prot.changed VALUES (now())');
SELECT code FROM t.try('INSERT INTO prot.computed VALUES (1, 1)');
-- what cannot be protected
CREATE VIEW a_view AS SELECT * FROM without_time;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM without_time;
CREATE SEQUENCE a_sequence;
CREATE TYPE a_type AS (created_at timestamptz);
CREATE INDEX an_index ON without_time (id);
CREATE TEMP TABLE a_temp (created_at timestamptz);
CREATE UNLOGGED TABLE an_unlogged (created_at timestamptz);
CREATE TABLE ruled (created_at timestamptz);
CREATE RULE "No!" AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE a_foreign (created_at timestamptz) SERVER nowhere;
CREATE TABLE with_foreign (created_at timestamptz) PARTITION BY RANGE (created_at);
CREATE FOREIGN TABLE foreign_part PARTITION OF with_foreign DEFAULT SERVER nowhere;
CREATE TABLE with_unlogged (created_at timestamptz) PARTITION BY RANGE (created_at);
CREATE UNLOGGED TABLE unlogged_part PARTITION OF with_unlogged DEFAULT;
SELECT r AS target, e.code, e.message, e.hint
    FROM unnest('{NULL,prot.a_view,prot.a_matview,prot.a_sequence,prot.a_type,prot.an_index,a_temp,
        prot.an_unlogged,prot.ruled,prot.a_foreign,prot.with_foreign,prot.with_unlogged,
        pg_class,information_schema.sql_features,audit.audit_log,audit.guard_events,audit.holds,
        audit.retention_state,audit.changes}'::text[]) r,
        LATERAL t.try(format('SELECT audit.protect(%L)', r)) e;
SELECT * FROM t.try('SELECT audit.protect(4294967295)');
-- names of our triggers that somebody else has
CREATE TABLE taken (created_at timestamptz);
CREATE TRIGGER protect_taken AFTER INSERT ON taken FOR EACH ROW EXECUTE FUNCTION change();
SELECT code, message FROM t.try($$SELECT audit.protect('prot.taken')$$);
-- keys that would change or remove rows, and tables that inherit
CREATE TABLE people (id integer PRIMARY KEY);
CREATE TABLE visits (id integer PRIMARY KEY, created_at timestamptz,
    "Who" integer CONSTRAINT "Of whom" REFERENCES people ON DELETE CASCADE ON UPDATE SET NULL,
    other integer REFERENCES people);
CREATE TABLE special_visits (extra text) INHERITS (visits);
SELECT audit.protect('visits', '5 years');
INSERT INTO people VALUES (1), (2), (3);
INSERT INTO visits VALUES (1, now(), 1, 2);
SELECT code, message FROM t.try('DELETE FROM prot.people WHERE id = 1');
SELECT code, message FROM t.try('UPDATE prot.people SET id = 9 WHERE id = 1');
SELECT code, message FROM t.try('DELETE FROM prot.people WHERE id = 2');
SELECT code, message FROM t.try('DELETE FROM prot.people WHERE id = 3');
SELECT code, message FROM t.try('TRUNCATE prot.people CASCADE');
SELECT in_force, why, fix FROM audit.guard_status() WHERE object = 'prot.visits';
-- hostile names
CREATE SCHEMA "Pr""ot 'q' #1@2";
CREATE TABLE "Pr""ot 'q' #1@2"."T'a%I ""b"" ünï" (id integer PRIMARY KEY, "At#3@4 '" timestamptz);
SELECT audit.protect('"Pr""ot ''q'' #1@2"."T''a%I ""b"" ünï"', timestamp_column => 'At#3@4 ''');
INSERT INTO "Pr""ot 'q' #1@2"."T'a%I ""b"" ünï" VALUES (1, now());
SELECT code, message FROM t.try($$DELETE FROM "Pr""ot 'q' #1@2"."T'a%I ""b"" ünï"$$);
SELECT audit.extend_retention('"Pr""ot ''q'' #1@2"."T''a%I ""b"" ünï"', '11 years');
SELECT retention, timestamp_column, is_in_force FROM audit.protected_tables
    WHERE table_schema = 'Pr"ot ''q'' #1@2';
SELECT table_schema, table_name, timestamp_column, retention FROM audit.guard_policies
    WHERE table_schema = 'Pr"ot ''q'' #1@2' ORDER BY id;
-- a name too long for a trigger
CREATE TABLE abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_0123456 (created_at timestamptz);
SELECT audit.protect('abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_0123456');
SELECT tgname FROM pg_trigger
    WHERE tgrelid = 'abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_0123456'::regclass ORDER BY 1;
-- who may
CREATE TABLE of_owner (created_at timestamptz);
ALTER TABLE of_owner OWNER TO regress_owner;
GRANT ALL ON of_owner TO PUBLIC;
SET LOCAL ROLE regress_app;
SELECT code, message FROM t.try($$SELECT audit.protect('prot.of_owner')$$);
SELECT code, message FROM t.try($$SELECT audit.extend_retention('prot.consents', '20 years')$$);
SELECT code, message FROM t.try($$SELECT * FROM audit.protected_tables$$);
SET LOCAL ROLE regress_admin;
SELECT code, message, hint FROM t.try($$SELECT audit.protect('prot.of_owner')$$);
SELECT code, message, hint FROM t.try($$SELECT audit.extend_retention('prot.consents', '20 years')$$);
SELECT code, message FROM t.try($$SELECT audit._extend_protection('prot.consents', '20 years')$$);
SELECT code, message FROM t.try($$SELECT audit._extend_policy(1, '20 years')$$);
SELECT code, message FROM t.try($$SELECT audit._write_policy('x', 'prot.consents', 'v', '1 day', NULL)$$);
SELECT code, message FROM t.try($$INSERT INTO audit.guard_policies DEFAULT VALUES$$);
-- an admin, without owning it, may keep our own tables for longer
SELECT * FROM t.try($$SELECT audit.extend_retention('audit.audit_log', '6 years')$$);
SELECT audit.extend_retention('audit.audit_log', '10 years');
SELECT * FROM t.try($$SELECT audit.extend_retention('audit.audit_log', '9 years')$$);
SELECT * FROM t.try($$SELECT audit.extend_retention('audit.guard_events', '9 years')$$);
SELECT * FROM t.try($$SELECT audit.extend_retention('prot.of_owner', '9 years')$$);
SELECT * FROM t.try($$SELECT audit.extend_retention(NULL, '9 years')$$);
SELECT target, retention FROM audit.protected_tables WHERE is_stream ORDER BY target::text;
RESET ROLE;
SELECT code, message FROM t.try(format('SELECT audit.extend_retention(%L, ''30 years'')', t.hot_leaf()));
-- a partial or foreign hand-made policy is not believed, and harms nobody
CREATE TABLE by_hand (created_at timestamptz);
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON by_hand FOR EACH ROW
    EXECUTE FUNCTION audit.enforce_retention('retention=P99999Y', 'timestamp=created_at#1@1');
SELECT retention, timestamp_column, is_in_force FROM audit.protected_tables WHERE target = 'by_hand'::regclass;
SELECT why, fix FROM audit.guard_status() WHERE object = 'prot.by_hand';
SELECT * FROM t.try($$SELECT audit.protect('prot.by_hand')$$);
ROLLBACK;
SELECT count(*) FROM audit.protected_tables WHERE NOT is_stream AND table_schema = 'prot';
