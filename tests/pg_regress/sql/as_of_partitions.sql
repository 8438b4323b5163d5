-- Rows that come or go with a partition are in no row of the log: what the table held before is then not known.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA aop;
SET search_path = aop;
CREATE FUNCTION try(statement text) RETURNS TABLE (code text, message text) LANGUAGE sql AS $$
    SELECT code, regexp_replace(message, '\d{4}-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g') FROM t.try(statement)
$$;
CREATE TABLE moments (name text PRIMARY KEY, at timestamptz);
CREATE FUNCTION note(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.002);
    INSERT INTO aop.moments VALUES (name, clock_timestamp());
    PERFORM pg_sleep(0.002);
END $$;
CREATE FUNCTION at(name text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT m.at FROM aop.moments m WHERE m.name = $1
$$;
CREATE TABLE p (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
SELECT audit.enable_tracking('p');
INSERT INTO p VALUES (1, 'one');
SELECT note('one');
-- an empty partition changes nothing
CREATE TABLE p2 (id integer PRIMARY KEY, v text);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (11, 'eleven');
SELECT note('two');
CREATE TABLE p3 (id integer PRIMARY KEY, v text);
INSERT INTO p3 VALUES (21, 'from elsewhere');
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
SELECT note('attached');
UPDATE p SET v = v || '!';
SELECT note('changed');
-- the table was empty when tracking began, so what it held before the rows came is known after all
SELECT * FROM audit.table_as_of(NULL::p, at('one')) ORDER BY id;
SELECT * FROM audit.table_as_of(NULL::p, at('two')) ORDER BY id;
SELECT * FROM audit.table_as_of(NULL::p, at('attached')) ORDER BY id;
ALTER TABLE p DETACH PARTITION p1;
SELECT note('detached');
DELETE FROM p WHERE id = 11;
SELECT * FROM audit.table_as_of(NULL::p, at('two')) ORDER BY id;
SELECT * FROM audit.table_as_of(NULL::p, at('detached')) ORDER BY id;
-- between the two only what changed is known
SELECT * FROM try($$SELECT * FROM audit.table_as_of(NULL::aop.p, aop.at('changed'))$$);
SELECT audit.record_as_of('p', 21, at('changed'));
SELECT audit.record_as_of('p', 21, at('attached'));
SELECT kind, detail FROM audit.guard_events WHERE object = 'aop.p' AND kind LIKE 'partition%' ORDER BY id;
-- dropped partitions, tables and triggers
DROP TABLE p2;
SELECT * FROM try($$SELECT * FROM audit.table_as_of(NULL::aop.p, aop.at('detached'))$$);
CREATE TABLE plain (id integer PRIMARY KEY, secret text);
SELECT audit.enable_tracking('plain', exclude => '{secret}');
INSERT INTO plain VALUES (1, 'LEAK');
SELECT note('plain');
-- made again, as pg_restore --clean does it: what happened between is not known
DROP TABLE plain;
CREATE TABLE plain (id integer PRIMARY KEY, secret text);
INSERT INTO plain VALUES (2, 'LEAK');
SELECT note('made again');
CREATE TRIGGER audit_plain AFTER INSERT OR UPDATE OR DELETE ON plain
    FOR EACH ROW EXECUTE FUNCTION audit.log_changes('exclude=secret');
ALTER TABLE plain ENABLE ALWAYS TRIGGER audit_plain;
SELECT note('tracked again');
UPDATE plain SET id = 3;
SELECT id FROM audit.table_as_of(NULL::plain, at('tracked again'));
SELECT * FROM try($$SELECT * FROM audit.table_as_of(NULL::aop.plain, aop.at('made again'))$$);
SELECT id FROM audit.table_as_of(NULL::plain, at('plain'));
DROP TRIGGER audit_plain ON plain;
SELECT note('no trigger');
SELECT * FROM try($$SELECT * FROM audit.table_as_of(NULL::aop.plain, aop.at('no trigger'))$$);
SELECT kind, object, detail FROM audit.guard_events
    WHERE object LIKE 'aop.p%' AND (kind IN ('tracking_suspended', 'tracking_resumed') OR detail ? 'dropped')
    ORDER BY id;
-- what has nothing to do with it leaves no event
SELECT max(id) AS seen FROM audit.guard_events \gset
CREATE TABLE free (id integer PRIMARY KEY);
CREATE TABLE child (id integer REFERENCES free ON DELETE CASCADE);
CREATE TEMP TABLE passing (id integer PRIMARY KEY);
DROP TABLE passing, child;
DROP TABLE free;
CREATE TABLE ended (id integer PRIMARY KEY);
SELECT audit.enable_tracking('ended');
SELECT audit.disable_tracking('ended');
DROP TABLE ended;
SELECT kind, object FROM audit.guard_events WHERE id > :seen ORDER BY id;
-- a foreign table among the partitions does not keep the rest from being tracked
CREATE FOREIGN DATA WRAPPER aop;
CREATE SERVER aop FOREIGN DATA WRAPPER aop;
CREATE TABLE f (id integer) PARTITION BY RANGE (id);
CREATE TABLE f1 PARTITION OF f FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE f2 PARTITION OF f FOR VALUES FROM (10) TO (20) SERVER aop;
SELECT audit.enable_tracking('f');
SELECT status FROM audit.tracked_tables WHERE target = 'f'::regclass;
INSERT INTO f VALUES (1);
SELECT operation, table_name, new_record FROM t.news('f');
SELECT * FROM audit.repair_tracking('f');
DROP FOREIGN DATA WRAPPER aop CASCADE;
DROP SCHEMA aop CASCADE;
