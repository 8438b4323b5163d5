-- Changes that come through something else: views the server can update by itself, INSTEAD OF triggers,
-- rules, functions with their owner's rights, row security, replica mode.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, table_name, record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA views;
SET search_path = views;
SET client_min_messages = warning;
CREATE TABLE staff (id integer PRIMARY KEY, name text, dept text DEFAULT 'none', pay integer);
CREATE TABLE extra (id integer PRIMARY KEY, note text);
SELECT audit.enable_tracking('staff', mask => '{pay}'), audit.enable_tracking('extra');
SELECT t.mark();
-- views of views, with other names and only some columns; rows they must not make
CREATE VIEW it AS SELECT id AS nr, name AS who, dept, pay FROM staff WHERE dept = 'it' WITH CHECK OPTION;
CREATE VIEW it_names WITH (security_barrier) AS SELECT who, nr FROM it;
INSERT INTO it (nr, who, dept, pay) VALUES (1, 'Ann', 'it', 10);
INSERT INTO staff VALUES (2, 'Bob', 'it', 20), (3, 'Cyd', 'hr', 30);
UPDATE it_names SET who = upper(who) RETURNING nr, who;
DELETE FROM it_names WHERE nr = 2;
SELECT code FROM t.try($$UPDATE views.it SET dept = 'hr'$$);
SELECT code FROM t.try($$INSERT INTO views.it_names VALUES ('Dan', 4)$$);
INSERT INTO it (nr, who, dept) VALUES (1, 'Zoe', 'it') ON CONFLICT (nr) DO UPDATE SET who = excluded.who;
:news
-- a view of a join, whose trigger does what it likes: the log has what was done to the tables
CREATE VIEW both_of AS SELECT s.id, s.name, e.note FROM staff s LEFT JOIN extra e USING (id);
CREATE FUNCTION write_both() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM views.extra WHERE id = OLD.id;
        RETURN OLD;
    END IF;
    INSERT INTO views.staff (id, name) VALUES (NEW.id, NEW.name)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name;
    IF NEW.note IS NOT NULL THEN
        INSERT INTO views.extra VALUES (NEW.id, NEW.note) ON CONFLICT (id) DO UPDATE SET note = excluded.note;
    END IF;
    RETURN CASE WHEN NEW.name = 'nobody' THEN NULL ELSE NEW END;
END $$;
CREATE TRIGGER write_both INSTEAD OF INSERT OR UPDATE OR DELETE ON both_of
    FOR EACH ROW EXECUTE FUNCTION write_both();
INSERT INTO both_of VALUES (5, 'Eve', 'new'), (6, 'nobody', NULL) RETURNING *;
UPDATE both_of SET note = 'n' || id WHERE id IN (3, 5);
DELETE FROM both_of WHERE id = 3;
:news
-- a view is no table to be tracked
SELECT code FROM t.try($$SELECT audit.enable_tracking('views.it')$$);
-- rules: another statement besides, instead, or nothing at all; of a tracked table, and into one
CREATE TABLE inbox (id integer, body text);
CREATE RULE also AS ON INSERT TO inbox DO ALSO INSERT INTO extra VALUES (new.id, 'from ' || new.body);
CREATE RULE never AS ON DELETE TO staff WHERE old.name = 'Cyd' DO INSTEAD NOTHING;
CREATE RULE archive AS ON DELETE TO extra DO INSTEAD UPDATE extra SET note = 'archived' WHERE id = old.id;
INSERT INTO inbox VALUES (10, 'one'), (11, 'two');
DELETE FROM staff WHERE id IN (3, 5);
DELETE FROM extra WHERE id = 10;
:news
DROP RULE archive ON extra;
DROP RULE never ON staff;
-- a function with its owner's rights: the log names who called it
CREATE FUNCTION raise_pay(by integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS
    'BEGIN UPDATE views.staff SET pay = pay + by WHERE pay IS NOT NULL; END';
GRANT USAGE ON SCHEMA views TO regress_app;
SET ROLE regress_app;
SELECT raise_pay(1);
SELECT code FROM t.try('UPDATE views.staff SET pay = 0');
RESET ROLE;
SELECT operation, record_id, changed_fields, actor_role, login_role = session_user AS login_is_me,
    new_record ->> 'pay' AS pay FROM t.news() ORDER BY record_id;
-- row security decides what is changed, not what is logged
ALTER TABLE staff ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON staff TO regress_app USING (dept = 'it') WITH CHECK (name <> 'root');
GRANT ALL ON staff TO regress_app;
SET ROLE regress_app;
UPDATE staff SET name = name || '!';
DELETE FROM staff WHERE dept = 'hr';
INSERT INTO staff VALUES (20, 'new', 'it');
SELECT code FROM t.try($$INSERT INTO views.staff VALUES (21, 'root', 'it')$$);
RESET ROLE;
SELECT operation, record_id, changed_fields, actor_role FROM t.news();
-- in replica mode the table's own triggers and rules keep still, and the log does not
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';
CREATE TRIGGER shout BEFORE INSERT ON staff FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO staff (id, name) VALUES (30, 'loud');
SET session_replication_role = replica;
INSERT INTO staff (id, name) VALUES (31, 'quiet');
INSERT INTO inbox VALUES (32, 'no rule');
SET session_replication_role = local;
UPDATE staff SET dept = 'it' WHERE id = 31;
RESET session_replication_role;
SELECT operation, table_name, record_id, new_record ->> 'name' AS name FROM t.news();
DROP SCHEMA views CASCADE;
