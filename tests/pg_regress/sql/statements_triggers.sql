-- Other people's triggers around ours: before, after, nested, recursive, of statements, failing and catching;
-- what is logged is the row as it was stored.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, record_id, old_record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA trig;
SET search_path = trig;
SET client_min_messages = warning;
CREATE TABLE a (id integer PRIMARY KEY, v text, n integer);
CREATE TABLE b (id integer PRIMARY KEY, v text, n integer);
SELECT audit.enable_tracking('a'), audit.enable_tracking('b');
SELECT t.mark();
-- BEFORE triggers change the row, its key, or leave it as it was; or let nothing happen
CREATE FUNCTION edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RETURN CASE WHEN OLD.v = 'KEPT' THEN NULL ELSE OLD END;
    ELSIF NEW.v = 'skip' THEN
        RETURN NULL;
    ELSIF TG_OP = 'UPDATE' AND NEW.v = 'undo' THEN
        RETURN OLD;
    END IF;
    NEW.v := upper(NEW.v);
    IF NEW.n < 0 THEN
        NEW.id := -NEW.n;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_edit BEFORE INSERT OR UPDATE OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION edit();
INSERT INTO a VALUES (1, 'kept', 1), (2, 'skip', 1), (3, 'three', -30);
UPDATE a SET v = 'undo';
UPDATE a SET v = 'skip' WHERE id = 1;
UPDATE a SET n = -31 WHERE id = 30;
DELETE FROM a;
:news
-- AFTER triggers write elsewhere and back, before ours by name or behind it: each row keeps its order
CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'a' THEN
        INSERT INTO trig.b VALUES (NEW.id, 'from ' || TG_NAME, NEW.n);
    ELSIF NEW.n > 0 THEN
        UPDATE trig.a SET n = n - 1 WHERE id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER aa_first AFTER INSERT ON a FOR EACH ROW WHEN (NEW.id < 100) EXECUTE FUNCTION pass_on();
CREATE TRIGGER zz_last AFTER INSERT ON a FOR EACH ROW WHEN (NEW.id >= 100) EXECUTE FUNCTION pass_on();
CREATE TRIGGER back AFTER INSERT OR UPDATE ON b FOR EACH ROW EXECUTE FUNCTION pass_on();
INSERT INTO a VALUES (10, 'first', 5), (100, 'last', 5);
SELECT operation, table_name, record_id, changed_fields, new_record ->> 'n' AS n FROM t.news();
-- a trigger that changes the very row that is being changed, until there is nothing left to change
CREATE TABLE count_down (id integer PRIMARY KEY, n integer);
SELECT audit.enable_tracking('count_down');
CREATE FUNCTION one_less() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE trig.count_down SET n = n - 1 WHERE id = NEW.id AND n > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER zz_one_less AFTER INSERT OR UPDATE ON count_down FOR EACH ROW EXECUTE FUNCTION one_less();
INSERT INTO count_down VALUES (1, 3);
UPDATE count_down SET n = 0;
DROP TRIGGER zz_one_less ON count_down;
CREATE TRIGGER aa_one_less AFTER UPDATE ON count_down FOR EACH ROW WHEN (NEW.n > 0)
    EXECUTE FUNCTION one_less();
UPDATE count_down SET n = 2;
SELECT operation, old_record ->> 'n' AS old, new_record ->> 'n' AS new FROM t.news();
-- the same from a BEFORE trigger is an error of the server's, and nothing is logged
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE trig.count_down SET n = 7 WHERE id = NEW.id; RETURN NEW; END';
CREATE TRIGGER meddle BEFORE UPDATE ON count_down FOR EACH ROW WHEN (NEW.n = 9) EXECUTE FUNCTION meddle();
SELECT code FROM t.try('UPDATE trig.count_down SET n = 9');
SELECT count(*) FROM t.news();
-- recursion goes as deep as the server lets it; where it ends in an error, nothing remains
CREATE TABLE deep (n integer PRIMARY KEY);
SELECT audit.enable_tracking('deep');
CREATE FUNCTION deeper() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.n <> 60 THEN INSERT INTO trig.deep VALUES (NEW.n + 1); END IF; RETURN NULL; END';
CREATE TRIGGER deeper AFTER INSERT ON deep FOR EACH ROW EXECUTE FUNCTION deeper();
INSERT INTO deep VALUES (1);
SELECT count(*), min(record_id::integer), max(record_id::integer) FROM t.news();
SET max_stack_depth = '100kB';
SELECT code FROM t.try('INSERT INTO trig.deep VALUES (61)');
RESET max_stack_depth;
SELECT count(*) FROM t.news();
-- statement triggers and what they see of a whole statement
CREATE TABLE summary (id serial PRIMARY KEY, what text, old_rows bigint, new_rows bigint);
SELECT audit.enable_tracking('summary');
CREATE FUNCTION sum_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trig.summary (what, old_rows, new_rows)
        SELECT TG_OP, (SELECT count(*) FROM was), (SELECT count(*) FROM is_now);
    RETURN NULL;
END $$;
CREATE TRIGGER sum_up AFTER UPDATE ON b REFERENCING OLD TABLE AS was NEW TABLE AS is_now
    FOR EACH STATEMENT EXECUTE FUNCTION sum_up();
UPDATE b SET v = v || '!';
UPDATE b SET v = 'x' WHERE id = 0;
SELECT operation, table_name, record_id, changed_fields, new_record - 'id' AS new FROM t.news('summary');
-- a trigger that fails takes the row with it; one that catches, only what it tried
CREATE FUNCTION check_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO trig.summary (what) VALUES ('tried ' || NEW.id);
        IF NEW.n = 13 THEN
            RAISE EXCEPTION 'caught';
        END IF;
    EXCEPTION WHEN raise_exception THEN
        INSERT INTO trig.summary (what) VALUES ('caught ' || NEW.id);
    END;
    IF NEW.n = 66 THEN
        RAISE EXCEPTION 'not caught';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER check_it AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION check_it();
SELECT t.mark();
INSERT INTO b VALUES (201, 'x', 0), (202, 'x', 13);
SELECT code FROM t.try($$INSERT INTO trig.b VALUES (203, 'x', 0), (204, 'x', 66)$$);
SELECT operation, table_name, new_record ->> 'what' AS what FROM t.news() ORDER BY table_name, what;
-- conditions and column lists of others do not matter to ours; a switched-off trigger of theirs neither
CREATE TRIGGER never BEFORE UPDATE OF n ON b FOR EACH ROW WHEN (false) EXECUTE FUNCTION edit();
ALTER TABLE b DISABLE TRIGGER USER;
ALTER TABLE b ENABLE ALWAYS TRIGGER audit_b;
UPDATE b SET n = 5 WHERE id = 201;
SELECT operation, table_name, record_id, changed_fields FROM t.news();
DROP SCHEMA trig CASCADE;
