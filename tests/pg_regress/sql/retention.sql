-- Retention of users' tables: DELETE of what is expired, apply_retention in batches, certificates, the clock.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA kept AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA kept TO PUBLIC;
SET search_path = kept;
SET ROLE regress_owner;
CREATE TABLE letters (id integer PRIMARY KEY, created_at timestamptz, v text);
CREATE TABLE days (id integer, day date);
CREATE TABLE times (id integer, at timestamp);
CREATE INDEX ON times (at);
-- forced row security hides rows from their owner, but not from retention
ALTER TABLE letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE letters FORCE ROW LEVEL SECURITY;
CREATE POLICY few ON letters USING (id < 10 OR id = 102) WITH CHECK (true);
SELECT audit.protect('letters', '2 years');
SELECT audit.protect('days', '30 days', 'day');
SELECT audit.protect('times', '30 days', 'at');
BEGIN;
SELECT audit.begin_restore('from the old system');
INSERT INTO letters SELECT i, now() - interval '2 years' - interval '1 hour', 'SECRET'
    FROM generate_series(1, 25) i;
INSERT INTO letters VALUES (101, now() - interval '2 years' + interval '1 hour', 'SECRET'),
    (102, NULL, 'SECRET'), (103, 'infinity', 'SECRET'), (104, '-infinity', 'SECRET');
-- what a date or a time without a zone can mean at latest: the day ends 12 hours later somewhere
INSERT INTO days SELECT i, (now() AT TIME ZONE 'UTC')::date - 30 - i FROM unnest('{-1,0,2,3}'::integer[]) i;
INSERT INTO times SELECT i, (now() AT TIME ZONE 'UTC') - interval '30 days' - i * interval '1 hour'
    FROM unnest('{1,11,13}'::integer[]) i;
COMMIT;
-- the owner deletes: all expired or nothing
SELECT code, message FROM t.try('DELETE FROM kept.letters WHERE id IN (1, 102)');
SELECT count(*) AS shown FROM letters;
BEGIN;
DELETE FROM letters WHERE id IN (1, 2);
SAVEPOINT s;
DELETE FROM letters WHERE id = 3;
ROLLBACK TO s;
DELETE FROM letters WHERE id = 4;
COMMIT;
BEGIN;
DELETE FROM letters WHERE id = 5;
ROLLBACK;
RESET ROLE;
SELECT kind, object, detail ->> 'by' AS by, detail ->> 'retention' AS retention,
       sum((detail ->> 'rows')::bigint) AS rows,
       max((detail ->> 'newest')::timestamptz) < now() - interval '2 years' AS expired, actor_role
    FROM audit.guard_events WHERE object = 'kept.letters' AND kind = 'rows_expired' GROUP BY 1, 2, 3, 4, 7;
-- the plan, for a reader who has no right to the tables
SET ROLE regress_reader;
SELECT relation, kind, retention, rows_expired, rows_held, action, certificate_id, more, oldest, newest
    FROM audit.retention_plan() WHERE relation = 'kept.letters';
SELECT relation, rows_expired, action FROM audit.retention_plan()
    WHERE relation IN ('kept.days', 'kept.times') ORDER BY 1;
SELECT oldest = '-infinity' AS oldest FROM audit.protected_tables WHERE target = 'letters'::regclass;
-- steps, by an admin who owns nothing; whichever table comes first
SET ROLE regress_admin;
CREATE TEMP TABLE steps (relation text, kind text, rows_expired bigint, action text, certified boolean,
    more boolean);
DO $$
DECLARE
    again boolean := true;
    calls integer := 0;
BEGIN
    WHILE again LOOP
        INSERT INTO steps
            SELECT a.relation, a.kind, a.rows_expired, a.action, a.certificate_id IS NOT NULL, a.more
            FROM audit.apply_retention(10) a;
        SELECT bool_or(s.more) INTO again FROM steps s WHERE s.ctid = (SELECT max(x.ctid) FROM steps x);
        calls := calls + 1;
        EXIT WHEN calls > 20;
    END LOOP;
END $$;
SELECT * FROM steps WHERE relation LIKE 'kept.%' OR relation IS NULL ORDER BY relation, rows_expired DESC;
RESET ROLE;
SELECT id, created_at > now() - interval '2 years' AS is_younger FROM letters ORDER BY id;
SELECT count(*) FROM days WHERE day > (now() AT TIME ZONE 'UTC')::date - 32;
SELECT id FROM times ORDER BY id;
SELECT relation, pid, steps, rows_removed, finished_at IS NOT NULL AS finished, blocks_total, blocks_done,
       next_partition, last_action
    FROM audit.retention_progress WHERE relation = 'kept.letters';
SELECT kind, object, detail - '{oldest,newest}'::text[] AS detail, actor_role
    FROM audit.guard_events WHERE object LIKE 'kept.%' AND kind = 'rows_expired'
    AND detail ->> 'by' = 'retention' ORDER BY object, detail ->> 'rows', id;
-- rows that others refer to stay until those are gone, and do not keep the rest
BEGIN;
SELECT audit.begin_restore('cases');
INSERT INTO letters SELECT i, now() - interval '3 years', 'SECRET' FROM generate_series(201, 205) i;
CREATE TABLE answers (letter integer REFERENCES letters, follows integer);
GRANT SELECT ON answers TO regress_owner;
CREATE TABLE threads (id integer PRIMARY KEY, parent integer REFERENCES threads, created_at timestamptz);
SELECT audit.protect('threads', '1 year');
INSERT INTO threads VALUES (1, NULL, now() - interval '3 years'), (2, 1, now() - interval '3 years');
INSERT INTO answers VALUES (202, NULL);
SELECT relation, rows_expired, action, more FROM audit.apply_retention(10);
SELECT relation, rows_expired, action, more FROM audit.apply_retention(10);
SELECT relation, rows_expired, action, more FROM audit.apply_retention(10);
SELECT relation, rows_expired, action, more FROM audit.apply_retention(10);
SELECT id FROM letters WHERE id > 200;
SELECT id FROM threads;
-- where the owner may not look, the key itself refuses
REVOKE SELECT ON answers FROM regress_owner;
SELECT relation, rows_expired, action, more FROM audit.apply_retention(10);
ROLLBACK;
-- a trigger of the user's that refuses is passed over, without a word of the row
BEGIN;
CREATE TABLE stubborn (id integer, created_at timestamptz);
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'SECRET %', OLD; END$$;
CREATE TRIGGER a BEFORE DELETE ON stubborn FOR EACH ROW EXECUTE FUNCTION no();
SELECT audit.protect('stubborn', '1 day');
SELECT audit.begin_restore('cases');
INSERT INTO stubborn VALUES (1, now() - interval '3 days');
SELECT relation, rows_expired, action, more FROM audit.apply_retention(10);
SELECT relation, last_action FROM audit.retention_progress WHERE relation = 'kept.stubborn';
ROLLBACK;
-- without an index the table is read block by block, with one from its oldest row
BEGIN;
CREATE TABLE large (id integer, created_at timestamptz, v text);
SELECT audit.protect('large', '1 day');
SELECT audit.begin_restore('cases');
INSERT INTO large
    SELECT i, now() - CASE WHEN i % 2 = 0 THEN interval '3 days' ELSE interval '0' END, repeat('x', 500)
    FROM generate_series(1, 3000) i;
SELECT sum(a.rows_expired), count(*) FILTER (WHERE a.more) AS steps, count(*) FILTER (WHERE NOT a.more) AS idle
    FROM generate_series(1, 12) i, LATERAL audit.apply_retention(200 + i - i) a;
SELECT count(*), min(id % 2) FROM large;
SELECT steps, rows_removed, finished_at IS NOT NULL AS finished, blocks_done = blocks_total AS all_of_it
    FROM audit.retention_progress WHERE relation = 'kept.large';
ROLLBACK;
-- a clock that cannot be believed
BEGIN;
UPDATE audit.retention_state SET last_run_at = now() - interval '40 days' WHERE relation = '';
SELECT code, message, hint FROM t.try('SELECT * FROM audit.apply_retention()');
SELECT DISTINCT action FROM audit.retention_plan() WHERE rows_expired > 0;
SELECT code, message, hint FROM t.try('SELECT audit.confirm_clock('''')');
SELECT code, message, hint FROM t.try('SELECT audit.confirm_clock(NULL)');
SET LOCAL ROLE regress_app;
SELECT code, message FROM t.try('SELECT audit.confirm_clock(''x'')');
SELECT code, message FROM t.try('SELECT * FROM audit.apply_retention()');
SELECT code, message FROM t.try('SELECT * FROM audit.retention_plan()');
SET LOCAL ROLE regress_admin;
SELECT audit.confirm_clock('the server was off for six weeks');
SELECT code FROM t.try('SELECT * FROM audit.apply_retention()');
RESET ROLE;
UPDATE audit.retention_state SET last_run_at = now() + interval '40 days' WHERE relation = '';
SELECT code, message FROM t.try('SELECT * FROM audit.apply_retention()');
UPDATE audit.retention_state SET last_run_at = now() WHERE relation = '';
SELECT audit.begin_restore('cases');
INSERT INTO letters VALUES (301, now() + interval '1 year', 'SECRET');
SELECT code, message FROM t.try('SELECT * FROM audit.apply_retention()');
SELECT audit.confirm_clock('it ran ahead last week');
SELECT code FROM t.try('SELECT * FROM audit.apply_retention()');
INSERT INTO letters VALUES (302, now() + interval '2 years', 'SECRET');
SELECT code, message FROM t.try('SELECT * FROM audit.apply_retention()');
SELECT reason, detail -> 'newest' ? 'kept.letters' AS letters, actor_role FROM audit.guard_events
    WHERE kind = 'clock_confirmed' ORDER BY id;
ROLLBACK;
-- refused
SELECT n AS max_rows, e.code, e.message FROM unnest('{NULL,0,-1,1000001}'::integer[]) n,
    LATERAL t.try(format('SELECT * FROM audit.apply_retention(%L)', n)) e;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM t.try('SELECT * FROM audit.apply_retention()');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT code FROM t.try('SELECT * FROM audit.apply_retention()');
ROLLBACK;
BEGIN READ ONLY;
SELECT code FROM t.try('SELECT * FROM audit.apply_retention()');
SELECT count(*) > 5 AS planned FROM audit.retention_plan();
ROLLBACK;
-- protected tables cannot be dropped, except after this
SET client_min_messages = warning;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER EVENT TRIGGER audit_guard_shield_drop DISABLE;
DROP SCHEMA kept CASCADE;
ALTER EVENT TRIGGER audit_guard_shield ENABLE ALWAYS;
ALTER EVENT TRIGGER audit_guard_shield_drop ENABLE ALWAYS;
