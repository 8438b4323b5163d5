-- Protection of a partitioned table: all levels of it, other schemas, partitions that come later.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
-- one transaction, because a protected table cannot be dropped
BEGIN;
CREATE SCHEMA parts AUTHORIZATION regress_owner;
CREATE SCHEMA "Elsewhere 'q'" AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA parts, "Elsewhere 'q'" TO PUBLIC;
SET LOCAL search_path = parts;
SET LOCAL ROLE regress_owner;
CREATE TABLE visits (id integer, day date, tenant_id integer) PARTITION BY RANGE (day);
CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE visits_new PARTITION OF visits FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)
    PARTITION BY LIST (tenant_id);
-- another order of columns than the table has
CREATE TABLE "Elsewhere 'q'"."T 1" (x integer, tenant_id integer, day date, id integer);
ALTER TABLE "Elsewhere 'q'"."T 1" DROP COLUMN x;
ALTER TABLE visits_new ATTACH PARTITION "Elsewhere 'q'"."T 1" FOR VALUES IN (1);
SELECT audit.protect('visits', '2 years', 'day');
SELECT c.oid::regclass AS relation, t.tgname, t.tgenabled, t.tgtype & 1 = 1 AS per_row,
       t.tgparentid <> 0 AS cloned
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('parts', 'Elsewhere ''q''') ORDER BY c.relname, t.tgname;
-- one line for all of it
SELECT target, retention, timestamp_column, is_in_force FROM audit.protected_tables WHERE NOT is_stream;
SELECT object, in_force, why, fix FROM audit.guard_status() WHERE part = 'table';
-- partitions cannot be protected differently, and are not extended or held alone
SELECT * FROM t.try($$SELECT audit.protect('parts.visits_old', '9 years')$$);
SELECT * FROM t.try($$SELECT audit.extend_retention('parts.visits_old', '9 years')$$);
RESET ROLE;
SELECT * FROM t.try($$SELECT audit.place_hold('parts.visits_old', 'court')$$);
SET LOCAL ROLE regress_owner;
-- by whichever name: rows of the old days came with a restore
SELECT audit.begin_restore('the years before');
INSERT INTO visits VALUES (1, '2019-05-05', 1), (2, CURRENT_DATE, 1), (3, '2019-06-06', 2);
SELECT r.name, s.statement, e.code, e.message
    FROM unnest('{visits,visits_new,visits_old,"\"Elsewhere ''q''\".\"T 1\""}'::text[]) r(name),
        unnest(ARRAY['UPDATE %s SET id = 0 WHERE false', 'DELETE FROM %s WHERE id IN (0, 2, 3)', 'TRUNCATE %s'])
            s(statement),
        LATERAL t.try(format(s.statement, r.name)) e
    WHERE r.name <> 'visits_old' OR s.statement NOT LIKE 'DELETE%';
-- a key of the partition cannot move a row
SELECT code, message FROM t.try($$UPDATE parts.visits SET day = '2019-01-01' WHERE id = 2$$);
-- partitions that come later
CREATE TABLE made_later PARTITION OF visits_new FOR VALUES IN (2);
CREATE TABLE attached_later (LIKE visits);
INSERT INTO attached_later VALUES (4, CURRENT_DATE, 3);
ALTER TABLE visits_new ATTACH PARTITION attached_later FOR VALUES IN (3);
SELECT c.oid::regclass AS relation, t.tgname, t.tgenabled, t.tgparentid <> 0 AS cloned
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relname LIKE '%later' ORDER BY 1, 2;
SELECT object, in_force, why, fix FROM audit.guard_status() WHERE part = 'table';
SELECT code, message FROM t.try('TRUNCATE parts.attached_later');
SELECT code, message FROM t.try('DELETE FROM parts.attached_later');
-- a trigger that is missing is named, and protect mends it
RESET ROLE;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
DROP TRIGGER protect_made_later_truncate ON made_later;
ALTER TABLE attached_later DISABLE TRIGGER protect_visits;
SELECT object, in_force, why, fix FROM audit.guard_status() WHERE part = 'table';
SET LOCAL ROLE regress_owner;
SELECT audit.protect('parts.visits', '@ 2 years', 'day');
SELECT object, in_force, why, fix FROM audit.guard_status() WHERE part = 'table';
SELECT audit.extend_retention('visits', '3 years');
SELECT DISTINCT regexp_replace(encode(tgargs, 'escape'), '@\d+', '@oid') AS arguments FROM pg_trigger
    WHERE tgfoid = 'audit.enforce_retention()'::regprocedure AND tgtype & 1 = 1;
-- expired rows go from every partition, and what is not goes from none
SELECT code FROM t.try('DELETE FROM parts.visits');
DELETE FROM visits WHERE day < '2019-06-01';
DELETE FROM visits_old;
SELECT id, tenant_id FROM visits ORDER BY id;
ROLLBACK;
