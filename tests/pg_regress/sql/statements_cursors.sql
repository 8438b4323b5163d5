-- Cursors, prepared statements and cached plans, locks, and statements that only look like changes.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA cur;
SET search_path = cur;
SET client_min_messages = warning;
CREATE TABLE c (id integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('c');
INSERT INTO c SELECT i, 'v' || i FROM generate_series(1, 6) i;
SELECT t.mark();
-- WHERE CURRENT OF, the second time on a row that is gone
BEGIN;
DECLARE walk CURSOR FOR SELECT * FROM c ORDER BY id FOR UPDATE;
FETCH 2 FROM walk;
UPDATE c SET v = 'second' WHERE CURRENT OF walk;
FETCH NEXT FROM walk;
DELETE FROM c WHERE CURRENT OF walk;
DELETE FROM c WHERE CURRENT OF walk;
MOVE 2 FROM walk;
UPDATE c SET v = 'fifth', id = 50 WHERE CURRENT OF walk;
UPDATE c SET v = 'again', id = 5 WHERE id = 50;
CLOSE walk;
COMMIT;
:news
-- a cursor that outlives its transaction is read from its beginning once more when that ends
CREATE FUNCTION touch(which integer) RETURNS text LANGUAGE sql AS
    'UPDATE cur.c SET v = v || ''.'' WHERE id = which RETURNING v';
BEGIN;
DECLARE kept CURSOR WITH HOLD FOR SELECT id, touch(id) FROM c WHERE id IN (4, 5) ORDER BY id;
FETCH 1 FROM kept;
COMMIT;
:news
FETCH ALL FROM kept;
CLOSE kept;
SELECT count(*) FROM t.news();
BEGIN;
DECLARE lost CURSOR WITH HOLD FOR SELECT touch(id) FROM c WHERE id IN (4, 5);
ROLLBACK;
SELECT count(*) FROM t.news();
-- a cursor of plpgsql
DO $$
DECLARE
    one CURSOR FOR SELECT * FROM cur.c WHERE id > 4 ORDER BY id FOR UPDATE;
BEGIN
    FOR r IN one LOOP
        UPDATE cur.c SET v = 'loop ' || r.id WHERE CURRENT OF one;
        EXIT WHEN r.id = 6;
    END LOOP;
END $$;
:news
-- rows are locked, read, explained, described, and nothing is logged
SELECT id FROM c WHERE id < 5 FOR UPDATE;
SELECT id FROM c WHERE id < 5 FOR NO KEY UPDATE SKIP LOCKED;
SELECT id FROM c WHERE id < 5 FOR KEY SHARE;
BEGIN;
LOCK TABLE c;
COMMIT;
EXPLAIN (COSTS OFF) DELETE FROM c;
SELECT count(*) FROM t.news();
-- explained with its effect, it is logged
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE UPDATE cur.c SET v = ''explained'' WHERE id = 6'; END $$;
SELECT operation, new_record FROM t.news();
-- prepared statements whose plan is kept, while the table changes under them
PREPARE up (integer, text) AS UPDATE c SET v = $2 WHERE id = $1;
PREPARE ins (integer) AS INSERT INTO c (id) VALUES ($1);
PREPARE del (integer) AS DELETE FROM c WHERE id = $1 RETURNING *;
SET plan_cache_mode = force_generic_plan;
EXECUTE up (4, 'p1');
ALTER TABLE c ADD COLUMN w integer DEFAULT 7;
EXECUTE up (4, 'p2');
EXECUTE ins (20);
ALTER TABLE c RENAME COLUMN v TO said;
ALTER TABLE c RENAME TO d;
SELECT code FROM t.try($$EXECUTE up (4, 'p3')$$);
ALTER TABLE d RENAME TO c;
ALTER TABLE c RENAME COLUMN said TO v;
ALTER TABLE c ALTER COLUMN w TYPE text USING 'w' || w;
EXECUTE up (4, 'p4');
EXECUTE ins (21);
ALTER TABLE c DROP COLUMN w;
EXECUTE up (4, 'p5');
EXECUTE del (20);
ALTER TABLE c ADD COLUMN w integer GENERATED ALWAYS AS (id + 1) STORED;
SELECT code FROM t.try('EXECUTE del (21)');
DEALLOCATE ALL;
RESET plan_cache_mode;
:news
-- functions with cached plans, across options that change
CREATE FUNCTION put(which integer, what text) RETURNS void LANGUAGE plpgsql AS
    'BEGIN UPDATE cur.c SET v = what WHERE id = which; END';
SELECT put(4, 'a');
SELECT audit.enable_tracking('c', mask => '{v}');
SELECT put(4, 'b');
SELECT audit.enable_tracking('c', detail => 'changed');
SELECT put(4, 'c');
SELECT audit.disable_tracking('c');
SELECT put(4, 'd');
SELECT audit.enable_tracking('c', exclude => '{w}');
SELECT put(4, 'e');
:news
-- a plan that works in parallel, or could: changes are made by the leader and logged once
CREATE TABLE big AS SELECT i AS id, i % 7 AS n FROM generate_series(1, 20000) i;
ALTER TABLE big ADD PRIMARY KEY (id);
CREATE TABLE copy_of (n integer PRIMARY KEY, total bigint);
SELECT audit.enable_tracking('big'), audit.enable_tracking('copy_of');
ANALYZE big;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
INSERT INTO copy_of SELECT n, sum(id) FROM big GROUP BY n;
UPDATE big SET n = -1 FROM (SELECT max(id) AS top FROM big) m WHERE id > top - 5;
WITH gone AS (DELETE FROM big WHERE n = -1 RETURNING id) INSERT INTO copy_of SELECT -1, sum(id) FROM gone;
SELECT table_name, operation, count(*) FROM t.news() GROUP BY 1, 2 ORDER BY 1, 2;
DROP SCHEMA cur CASCADE;
