-- TRUNCATE of a partitioned table, of one partition, of both in one statement; with and without the rows.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, table_name, record_id, old_record, tenant_id, context FROM t.news() ORDER BY record_id NULLS FIRST, context::text NULLS FIRST;'
CREATE SCHEMA trp;
SET search_path = trp;
CREATE TABLE p (id integer, k integer, org_id text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY RANGE (id);
CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (0) TO (10);
CREATE TABLE "P2 ""b""" PARTITION OF p2 FOR VALUES FROM (10) TO (20);
SELECT audit.enable_tracking('p');
CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3);
CREATE TABLE p4 (k integer NOT NULL, id integer NOT NULL, org_id text, PRIMARY KEY (id, k));
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES IN (4);
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
    INSERT INTO trp.p VALUES (1, 1, 'o'), (2, 2, 'o'), (12, 2, 'o'), (3, 3, 'o'), (4, 4, 'o');
    SELECT t.mark();
$$;
SELECT fill();
TRUNCATE p;
:news
-- one, with the context that was declared
BEGIN;
SELECT audit.set_context(actor_id => 'ada', context => '{"app": {"ticket": 1}}');
TRUNCATE p1;
SELECT actor_id, operation, table_name, context FROM t.news();
COMMIT;
TRUNCATE p2;
TRUNCATE "P2 ""b""", p4;
:news
-- both, in either order
TRUNCATE p, p1;
:news
TRUNCATE p1, p;
:news
-- more than once in a transaction, with savepoints
BEGIN;
TRUNCATE p;
SAVEPOINT s;
TRUNCATE p1;
TRUNCATE p2;
ROLLBACK TO s;
TRUNCATE p1;
TRUNCATE p;
COMMIT;
:news
-- one that fails between the table's trigger and its partitions'
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER a_fail BEFORE TRUNCATE ON p1 EXECUTE FUNCTION fail();
BEGIN;
SAVEPOINT s;
TRUNCATE p;
ROLLBACK TO s;
DROP TRIGGER a_fail ON p1;
TRUNCATE p1;
COMMIT;
:news
-- triggers of users that write while the TRUNCATE is running
CREATE TABLE notes (n text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO trp.notes VALUES (TG_RELID::regclass::text); RETURN NULL; END $$;
CREATE TRIGGER a_note BEFORE TRUNCATE ON p EXECUTE FUNCTION note();
CREATE TRIGGER z_note BEFORE TRUNCATE ON p1 EXECUTE FUNCTION note();
CREATE TRIGGER z_note BEFORE TRUNCATE ON p2 EXECUTE FUNCTION note();
TRUNCATE p;
:news
-- with the rows
SELECT audit.enable_tracking('p', log_truncated_rows => true);
SELECT fill();
TRUNCATE p2a;
:news
TRUNCATE p;
:news
-- by cascade
CREATE TABLE q (id integer PRIMARY KEY);
ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES q;
TRUNCATE q CASCADE;
:news
-- a detached partition is no longer ours, an attached one is
ALTER TABLE p DETACH PARTITION p2;
ALTER TABLE p DETACH PARTITION p3 CONCURRENTLY;
TRUNCATE p2, p3;
:news
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgfoid = 'audit.log_changes'::regproc
    AND tgtype & 1 = 0 ORDER BY 1, 2;
SELECT status FROM audit.tracked_tables WHERE target = 'p'::regclass;
-- nothing is left behind
SELECT audit.disable_tracking('p');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'audit.log_changes'::regproc;
DROP SCHEMA trp CASCADE;
