-- index_log: indexes on actor and tenant, on the leaf being written and on those to come.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA indexed;
SET search_path = indexed;
CREATE TABLE notes (id integer PRIMARY KEY, tenant_id text);
SELECT audit.enable_tracking('notes');
CREATE TEMP VIEW leaves AS SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit.audit_log'::regclass;
CREATE TEMP VIEW chosen AS
    SELECT i.indrelid, substring(c.relname FROM '_(actor|tenant)_idx$') AS kind, i.indisvalid,
           substring(pg_get_indexdef(c.oid) FROM ' USING .*') AS definition
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN leaves l ON l.inhrelid = i.indrelid
    WHERE c.relname ~ '_(actor|tenant)_idx$';
GRANT SELECT ON leaves, chosen TO PUBLIC;
-- rolled back at the end: indexes are for good
BEGIN;
SELECT audit.set_context(actor_id => 'ada');
INSERT INTO notes SELECT i, 'a' FROM generate_series(1, 50) i;
SET LOCAL ROLE regress_admin;
SELECT count(*) = (SELECT count(*) FROM leaves) AS one_for_each FROM audit.index_log(actor => true);
SELECT count(*) FROM audit.index_log(actor => true);
RESET ROLE;
-- the leaf that was being written goes on, and its new index with it
INSERT INTO notes SELECT i, 'b' FROM generate_series(51, 90) i;
SELECT audit.set_context(actor_id => 'bob');
SAVEPOINT gone;
DELETE FROM notes WHERE id > 80;
ROLLBACK TO gone;
DELETE FROM notes WHERE id <= 10;
SELECT count(*) = (SELECT count(*) FROM leaves) AS one_for_each,
       count(*) FILTER (WHERE name ~ '^audit\.audit_log_(\d{4}_\d{2}|past|future)_tenant_idx$') = count(*)
           AS named
    FROM audit.index_log(true, true) made(name);
INSERT INTO notes SELECT i, NULL FROM generate_series(101, 110) i;
UPDATE notes SET tenant_id = 'c' WHERE id > 100;
-- new leaves get what was chosen
SELECT count(*) FROM audit.maintain_partitions(26);
SELECT kind, definition, bool_and(indisvalid) AS valid, count(*) = (SELECT count(*) FROM leaves) AS on_all
    FROM chosen GROUP BY 1, 2
    ORDER BY 1;
-- an index finds what a scan of the leaf finds
SELECT t.hot_leaf() AS leaf \gset
CREATE TEMP VIEW actors AS SELECT actor_id AS who, count(*) FROM :leaf
    WHERE actor_id > '' AND table_schema = 'indexed' GROUP BY 1;
CREATE TEMP VIEW tenants AS SELECT tenant_id AS who, count(*) FROM :leaf
    WHERE tenant_id > '' AND table_schema = 'indexed' GROUP BY 1;
CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        plan := plan || line;
    END LOOP;
    RETURN substring(plan FROM '(?:Seq Scan|[a-z]+_idx)');
END $$;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT pg_temp.plan('TABLE actors'), pg_temp.plan('TABLE tenants');
CREATE TEMP TABLE by_scan AS TABLE actors UNION ALL TABLE tenants;
RESET enable_indexscan;
SET LOCAL enable_seqscan = off;
SELECT pg_temp.plan('TABLE actors'), pg_temp.plan('TABLE tenants');
CREATE TEMP TABLE by_index AS TABLE actors UNION ALL TABLE tenants;
SELECT * FROM by_index ORDER BY who;
SELECT count(*) AS differ FROM by_scan FULL JOIN by_index USING (who, count)
    WHERE by_scan IS NULL OR by_index IS NULL;
-- an index that broke while it was built is named, not built beside
SAVEPOINT broken;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audit.audit_log_future_actor_idx'::regclass;
SELECT * FROM t.try('SELECT audit.index_log(actor => true)');
ROLLBACK TO broken;
-- one that somebody built by hand under its name is taken over
DROP INDEX audit.audit_log_future_actor_idx;
CREATE INDEX audit_log_future_actor_idx ON audit.audit_log_future (actor_id, logged_at)
    WHERE actor_id IS NOT NULL;
SELECT count(*) FROM audit.index_log(actor => true);
-- refused
SELECT * FROM t.try('SELECT audit.index_log()');
SELECT * FROM t.try('SELECT audit.index_log(NULL, true)');
SELECT * FROM t.try('SELECT audit.index_log(true, NULL)');
SET LOCAL ROLE regress_app;
SELECT code, message FROM t.try('SELECT audit.index_log(true)');
SET LOCAL ROLE regress_reader;
SELECT code, message FROM t.try('SELECT audit.index_log(true)');
ROLLBACK;
SELECT count(*) FROM chosen;
SET client_min_messages = warning;
DROP SCHEMA indexed CASCADE;
