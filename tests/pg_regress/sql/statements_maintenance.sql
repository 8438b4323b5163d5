-- TRUNCATE in its forms; and what moves or rebuilds rows without changing them, which is not logged.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, table_name, record_id, old_record, new_record FROM t.news();'
CREATE SCHEMA maint;
SET search_path = maint;
SET client_min_messages = warning;
CREATE TABLE m (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
CREATE TABLE of_m (id integer PRIMARY KEY, m integer REFERENCES m);
CREATE TABLE apart (v text);
SELECT audit.enable_tracking('m', log_truncated_rows => true), audit.enable_tracking('of_m', mask => '{m}',
    log_truncated_rows => true), audit.enable_tracking('apart');
INSERT INTO m (v) VALUES ('a'), ('b');
INSERT INTO of_m VALUES (1, 1);
SELECT t.mark();
-- several tables at once, rows first; numbers that begin anew; a savepoint that brings all back
TRUNCATE m, of_m, apart RESTART IDENTITY;
SELECT operation, table_name, record_id, old_record FROM t.news() ORDER BY table_name, record_id NULLS LAST;
INSERT INTO m (v) VALUES ('again') RETURNING id;
INSERT INTO of_m VALUES (1, 1);
BEGIN;
SAVEPOINT s;
TRUNCATE m CASCADE;
INSERT INTO m (v) VALUES ('in between');
ROLLBACK TO s;
DELETE FROM of_m;
COMMIT;
SELECT operation, table_name, record_id, old_record FROM t.news();
-- twice in one transaction, with rows between; of an empty table; refused ones
BEGIN;
TRUNCATE m CASCADE;
INSERT INTO m (v) VALUES ('short-lived');
TRUNCATE m CASCADE;
COMMIT;
TRUNCATE apart;
SELECT code FROM t.try('TRUNCATE maint.m');
SELECT operation, table_name, record_id, old_record FROM t.news();
-- rows of the same transaction, changed before it ends there
BEGIN;
INSERT INTO m (v) VALUES ('x'), ('y');
UPDATE m SET v = upper(v) WHERE v = 'x';
DELETE FROM m WHERE v = 'y';
TRUNCATE m CASCADE;
COMMIT;
SELECT operation, record_id, old_record ->> 'v' AS old, new_record ->> 'v' AS new FROM t.news('m');
-- a child by INHERITS goes along, and says so only when it is tracked itself
CREATE TABLE child (extra integer) INHERITS (apart);
INSERT INTO child VALUES ('c', 1);
TRUNCATE ONLY apart;
TRUNCATE apart;
SELECT audit.enable_tracking('child');
INSERT INTO child VALUES ('d', 2);
TRUNCATE apart;
:news
-- rebuilt, sorted, moved, measured: the same rows
INSERT INTO m (v) SELECT 'v' || i FROM generate_series(1, 50) i;
SELECT t.mark();
VACUUM (FULL, ANALYZE) m;
CLUSTER m USING m_pkey;
REINDEX TABLE m;
REINDEX TABLE CONCURRENTLY m;
CREATE INDEX CONCURRENTLY m_v ON m (v);
VACUUM (FREEZE, INDEX_CLEANUP ON) m;
ANALYZE m;
ALTER TABLE m SET (fillfactor = 50);
ALTER TABLE apart SET UNLOGGED;
ALTER TABLE apart SET LOGGED;
ALTER TABLE m SET ACCESS METHOD heap;
ALTER TABLE m ALTER COLUMN id TYPE bigint;
CREATE TABLE copied AS TABLE m;
CREATE MATERIALIZED VIEW seen AS TABLE m;
REFRESH MATERIALIZED VIEW seen;
CREATE STATISTICS m_stat ON id, v FROM m;
COMMENT ON TABLE m IS 'x';
SELECT count(*) FROM t.news();
-- and what follows is logged as before
UPDATE m SET v = 'after' WHERE v = 'v1';
DELETE FROM m WHERE v = 'v2';
TRUNCATE m CASCADE;
SELECT operation, count(*) FILTER (WHERE record_id IS NOT NULL) AS rows, count(*) FROM t.news('m')
    GROUP BY 1 ORDER BY 1;
-- a table of the session is its own business, and gone without a word
CREATE TEMP TABLE mine (id integer PRIMARY KEY, v text) ON COMMIT DELETE ROWS;
SELECT code FROM t.try($$SELECT audit.enable_tracking('mine')$$);
-- what a crash may empty is tracked while it lives
CREATE UNLOGGED TABLE quick (id integer PRIMARY KEY);
SELECT audit.enable_tracking('quick');
INSERT INTO quick VALUES (1);
:news
DROP SCHEMA maint CASCADE;
