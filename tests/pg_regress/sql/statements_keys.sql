-- Foreign keys with every action, over several levels, to itself and deferred; deferred constraints and
-- triggers: the log has each change where and when it happened.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set what 'SELECT operation, table_name, record_id, old_record_id, changed_fields, new_record FROM t.news()'
\set news :what';'
\set news_sorted :what' ORDER BY table_name, record_id, operation, changed_fields;'
CREATE SCHEMA fk;
SET search_path = fk;
SET client_min_messages = warning;
CREATE TABLE owner (id integer PRIMARY KEY);
CREATE TABLE cascades (id integer PRIMARY KEY,
    o integer REFERENCES owner ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE nulls (id integer PRIMARY KEY, o integer REFERENCES owner ON DELETE SET NULL ON UPDATE SET NULL);
CREATE TABLE defaults (id integer PRIMARY KEY,
    o integer DEFAULT 0 REFERENCES owner ON DELETE SET DEFAULT ON UPDATE SET DEFAULT);
CREATE TABLE some_nulls (id integer PRIMARY KEY, o integer, c integer, kept integer DEFAULT 9,
    FOREIGN KEY (o) REFERENCES owner ON DELETE SET NULL (o) ON UPDATE CASCADE,
    FOREIGN KEY (c) REFERENCES cascades ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE leaf (id integer, c integer REFERENCES some_nulls ON DELETE CASCADE, PRIMARY KEY (c, id))
    PARTITION BY LIST (c);
CREATE TABLE leaf_1 PARTITION OF leaf FOR VALUES IN (1);
CREATE TABLE leaf_d PARTITION OF leaf DEFAULT;
SELECT count(audit.enable_tracking(n))
    FROM unnest('{owner,cascades,nulls,defaults,some_nulls,leaf}'::regclass[]) n;
INSERT INTO owner VALUES (0), (1), (2), (3);
INSERT INTO cascades VALUES (1, 1), (2, 2);
INSERT INTO nulls VALUES (1, 1), (2, 2);
INSERT INTO defaults VALUES (1, 1), (2, 2);
INSERT INTO some_nulls VALUES (1, 1, 1), (2, 2, 2), (3, 1, 2), (4, 3, NULL);
INSERT INTO leaf VALUES (1, 1), (2, 2), (3, 3), (4, 4);
SELECT t.mark();
-- the key changes, and what refers to it
UPDATE owner SET id = 10 WHERE id = 1;
:news_sorted
UPDATE cascades SET id = 20 WHERE id = 2;
:news_sorted
-- a row goes, and with it a family
DELETE FROM owner WHERE id = 3;
DELETE FROM owner WHERE id = 2;
:news_sorted
-- what the foreign key forbids is not logged
SELECT code FROM t.try('DELETE FROM fk.owner WHERE id = 0');
SELECT code FROM t.try('INSERT INTO fk.nulls VALUES (9, 99)');
SELECT count(*) FROM t.news();
-- TRUNCATE takes along what refers to it; partitions say nothing of their own
TRUNCATE owner CASCADE;
SELECT operation, table_name, record_id FROM t.news() ORDER BY table_name;
-- a table that refers to itself
CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE);
SELECT audit.enable_tracking('tree');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, 5);
SELECT t.mark();
UPDATE tree SET id = id * 10 WHERE id IN (2, 5);
DELETE FROM tree WHERE id = 1;
:news_sorted
-- deferred: the rows are logged when they are written, and go when the end finds them wrong
CREATE TABLE late (id integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, o integer REFERENCES owner
    ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    EXCLUDE USING btree (o WITH =) DEFERRABLE INITIALLY DEFERRED);
SELECT audit.enable_tracking('late');
BEGIN;
INSERT INTO late VALUES (1, 1), (2, 2);
INSERT INTO owner VALUES (1), (2);
UPDATE late SET id = 3 - id;
UPDATE late SET o = 3 - o WHERE id = 1;
UPDATE late SET o = 3 - o WHERE id = 2;
COMMIT;
:news
BEGIN;
INSERT INTO late VALUES (3, 99);
COMMIT;
BEGIN;
UPDATE late SET id = 7;
SAVEPOINT a;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO a;
UPDATE late SET id = o;
COMMIT;
SELECT operation, record_id, old_record_id FROM t.news() ORDER BY record_id;
-- checks are deferred, actions are not: a row that comes back before the end comes too late
BEGIN;
DELETE FROM owner WHERE id = 1;
INSERT INTO owner VALUES (1);
COMMIT;
:news
-- deferred triggers write at the end of the transaction, once it is known what became of the rows
CREATE TABLE totals (o integer PRIMARY KEY, n integer);
SELECT audit.enable_tracking('totals');
CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fk.totals SELECT NEW.o, count(*) FROM fk.late WHERE o = NEW.o
        ON CONFLICT (o) DO UPDATE SET n = excluded.n + totals.n;
    IF NEW.o = 666 THEN
        RAISE EXCEPTION 'not this one';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER total AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION total();
BEGIN;
INSERT INTO owner VALUES (3), (666);
INSERT INTO late VALUES (3, 3);
SAVEPOINT a;
INSERT INTO late VALUES (4, 666);
ROLLBACK TO a;
SELECT count(*) AS before_the_end FROM audit.audit_log WHERE table_schema = 'fk' AND table_name = 'totals';
COMMIT;
:news
BEGIN;
INSERT INTO late VALUES (5, 666);
COMMIT;
SELECT count(*) FROM t.news();
-- prepared: deferred triggers act before, what they wrote is committed later
BEGIN;
INSERT INTO owner VALUES (4);
INSERT INTO late VALUES (4, 4);
PREPARE TRANSACTION 'regress_audit_keys';
SELECT count(*) FROM t.news();
COMMIT PREPARED 'regress_audit_keys';
:news
DROP SCHEMA fk CASCADE;
