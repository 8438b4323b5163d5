-- Tracked partitioned tables, and the leaves of the log itself.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, table_name, record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA parts;
SET search_path = parts;
CREATE TABLE jobs (id integer, region text, note text, secret text, PRIMARY KEY (id, region))
    PARTITION BY LIST (region);
CREATE TABLE jobs_n PARTITION OF jobs FOR VALUES IN ('n');
-- a partition whose columns stand in another order, with a gap, and which is itself partitioned
CREATE TABLE jobs_s (gap integer, secret text, note text, region text NOT NULL, id integer NOT NULL)
    PARTITION BY LIST (id);
ALTER TABLE jobs_s DROP gap;
CREATE TABLE jobs_s1 PARTITION OF jobs_s DEFAULT;
ALTER TABLE jobs ATTACH PARTITION jobs_s FOR VALUES IN ('s');
SELECT audit.enable_tracking('jobs', exclude => '{secret}');
SELECT t.mark();
-- rows are logged under the tracked table's name, whatever partition they are in or were written through
INSERT INTO jobs VALUES (1, 'n', 'a', 'LEAK'), (2, 's', 'b', 'LEAK');
INSERT INTO jobs_n VALUES (3, 'n', 'c', 'LEAK');
UPDATE jobs_s1 SET note = 'B';
UPDATE jobs SET secret = 'LEAK2';
:news
-- history is asked of the table or of any partition
SELECT operation, new_values FROM audit.record_history('jobs', '[2,"s"]');
SELECT operation, new_values FROM audit.record_history('jobs_s1', '[2, "s"]');
-- a move between partitions is a DELETE and an INSERT
UPDATE jobs SET region = 's' WHERE id = 1;
:news
-- partitions that come later are tracked from then on; one that leaves is not tracked any more
CREATE TABLE jobs_w (id integer NOT NULL, region text NOT NULL, note text, secret text);
INSERT INTO jobs_w VALUES (10, 'w', 'before', 'LEAK');
ALTER TABLE jobs ATTACH PARTITION jobs_w FOR VALUES IN ('w');
CREATE TABLE jobs_e PARTITION OF jobs FOR VALUES IN ('e');
INSERT INTO jobs VALUES (11, 'w', 'after', 'LEAK'), (12, 'e', 'x', 'LEAK');
ALTER TABLE jobs DETACH PARTITION jobs_w;
INSERT INTO jobs_w VALUES (13, 'w', 'alone', 'LEAK');
:news
-- TRUNCATE of the whole table is one row
TRUNCATE jobs;
SELECT operation, table_name, record_id FROM t.news();
-- only the tracked table is listed, not its partitions
SELECT table_name, exclude, status FROM audit.tracked_tables WHERE table_schema = 'parts';
-- a partition of a tracked table cannot be tracked or untracked by itself
SELECT * FROM t.try($$SELECT audit.enable_tracking('parts.jobs_n')$$);
SELECT * FROM t.try($$SELECT audit.enable_tracking('parts.jobs_s1')$$);
-- a table whose partition was tracked alone: its own tracking gives way
CREATE TABLE tasks (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE tasks_1 PARTITION OF tasks FOR VALUES FROM (0) TO (100);
CREATE TABLE tasks_2 PARTITION OF tasks FOR VALUES FROM (100) TO (200);
SELECT audit.enable_tracking('tasks_1');
INSERT INTO tasks VALUES (1, 'x'), (101, 'not tracked yet');
SELECT audit.enable_tracking('tasks');
INSERT INTO tasks VALUES (2, 'x'), (102, 'x');
SELECT operation, table_name, record_id FROM t.news();
SELECT record_id FROM audit.record_history('tasks', 102);
SELECT audit.disable_tracking('tasks');
INSERT INTO tasks VALUES (3, 'x'), (103, 'x');
SELECT count(*) FROM t.news();
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('tasks'::regclass, 'tasks_1'::regclass,
    'tasks_2'::regclass);
SET client_min_messages = warning;
DROP SCHEMA parts CASCADE;
