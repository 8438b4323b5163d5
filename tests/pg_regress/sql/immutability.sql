-- Nothing changes or removes what is logged: by whom, through what, and how many rows does not matter.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
CREATE SCHEMA immut;
SET search_path = immut;
CREATE TABLE things (id integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('things', detail => 'full');
INSERT INTO things VALUES (1, 'a'), (2, 'b');
SELECT t.hot_leaf() AS leaf \gset
SELECT count(*) AS before FROM audit.audit_log \gset
-- as superuser, the whole log: rows or none
DELETE FROM audit.audit_log;
\echo :LAST_ERROR_SQLSTATE
:try ('DELETE FROM audit.audit_log WHERE false') f;
:try ($$DELETE FROM ONLY audit.audit_log$$) f;
:try ($$UPDATE audit.audit_log SET actor_id = 'nobody' WHERE table_name = 'things'$$) f;
:try ('UPDATE audit.audit_log SET actor_id = actor_id WHERE false') f;
:try ('TRUNCATE audit.audit_log') f;
:try ('TRUNCATE things, audit.audit_log CASCADE') f;
-- one leaf
:try (format('DELETE FROM %s', :'leaf')) f;
:try (format('UPDATE ONLY %s SET salt = NULL WHERE false', :'leaf')) f;
:try (format('TRUNCATE ONLY %s', :'leaf')) f;
:try ('DELETE FROM audit.audit_log_past') f;
:try ('TRUNCATE audit.audit_log_future') f;
-- MERGE, ON CONFLICT, a data-modifying WITH
:try ('MERGE INTO audit.audit_log l USING things s ON l.record_id = s.id::text WHEN MATCHED THEN DELETE') f;
:try ($$MERGE INTO audit.audit_log l USING things s ON false WHEN MATCHED THEN UPDATE SET actor_id = 'x'$$) f;
:try (format($$INSERT INTO %s SELECT * FROM %1$s LIMIT 1
    ON CONFLICT (transaction_id, id) DO UPDATE SET actor_id = 'x'$$, :'leaf')) f;
:try ('WITH gone AS (DELETE FROM audit.audit_log RETURNING *) SELECT count(*) FROM gone') f;
-- through a view, a rule, a function with the owner's rights, a cursor
CREATE VIEW window_on_log AS SELECT * FROM audit.audit_log;
:try ('DELETE FROM immut.window_on_log') f;
CREATE RULE sly AS ON DELETE TO things DO INSTEAD DELETE FROM audit.audit_log WHERE table_name = 'things';
:try ('DELETE FROM immut.things') f;
DROP RULE sly ON things;
CREATE FUNCTION forget() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM audit.audit_log';
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER FUNCTION forget OWNER TO audit_owner;
ALTER EVENT TRIGGER audit_guard_shield ENABLE ALWAYS;
GRANT USAGE ON SCHEMA immut TO audit_owner;
:try ('SELECT immut.forget()') f;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM audit.audit_log WHERE table_name = 'things' FOR UPDATE;
MOVE c;
DELETE FROM audit.audit_log WHERE CURRENT OF c;
ROLLBACK;
-- a foreign key that cascades into a leaf, and one into the parent
CREATE TABLE bait (id text PRIMARY KEY);
INSERT INTO bait VALUES ('1');
BEGIN;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER TABLE :leaf ADD CONSTRAINT sly FOREIGN KEY (record_id) REFERENCES bait
    ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
:try ('DELETE FROM immut.bait') f;
:try ($$UPDATE immut.bait SET id = '9'$$) f;
ROLLBACK;
-- replica mode
SET session_replication_role = replica;
:try ('DELETE FROM audit.audit_log') f;
:try ('UPDATE audit.audit_log SET salt = NULL WHERE false') f;
:try (format('TRUNCATE %s', :'leaf')) f;
:try (format('DELETE FROM %s', :'leaf')) f;
RESET session_replication_role;
-- as the owner of the log
SET ROLE audit_owner;
:try ('DELETE FROM audit.audit_log') f;
:try ('UPDATE audit.audit_log SET actor_id = NULL') f;
:try (format('TRUNCATE %s', :'leaf')) f;
:try (format('DELETE FROM %s WHERE false', :'leaf')) f;
RESET ROLE;
-- the record of switching is append-only too
:try ('DELETE FROM audit.guard_events') f;
:try ('UPDATE audit.guard_events SET reason = NULL WHERE false') f;
:try ('TRUNCATE audit.guard_events') f;
-- an error of this kind undoes nothing but its own statement
BEGIN;
INSERT INTO things VALUES (3, 'c');
SAVEPOINT a;
DELETE FROM audit.audit_log;
ROLLBACK TO a;
COMMIT;
SELECT count(*) - :before AS added FROM audit.audit_log;
SELECT count(*) FROM audit.record_history('things', 3);
-- both trigger functions make any table append-only
CREATE TABLE ledger (id integer PRIMARY KEY, v text);
CREATE TRIGGER r BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW
    EXECUTE FUNCTION audit.prevent_modification();
CREATE TRIGGER s BEFORE TRUNCATE ON ledger FOR EACH STATEMENT
    EXECUTE FUNCTION audit.prevent_audit_modification();
INSERT INTO ledger VALUES (1, 'a');
UPDATE ledger SET v = 'b' WHERE false;
:try ($$UPDATE immut.ledger SET v = 'SECRET'$$) f;
:try ('DELETE FROM immut.ledger') f;
:try ('TRUNCATE immut.ledger') f;
SELECT * FROM ledger;
SET client_min_messages = warning;
DROP SCHEMA immut CASCADE;
