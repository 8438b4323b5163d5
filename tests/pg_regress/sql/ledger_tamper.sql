-- What a superuser changes behind the guard's back is found, and named to the row.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA tamper;
CREATE TABLE tamper.visits (id integer PRIMARY KEY, patient text, email text);
SELECT audit.enable_tracking('tamper.visits');
SELECT audit.seal() > 0 AS done;
SELECT size AS before FROM audit.tree_head() \gset
INSERT INTO tamper.visits SELECT i, 'p' || i, 'e' || i || '@example.org' FROM generate_series(1, 12) i;
UPDATE tamper.visits SET email = 'x' WHERE id = 5;
DELETE FROM tamper.visits WHERE id = 6;
SELECT audit.seal() - :before AS leaves;
SELECT max(id) AS last FROM audit.audit_log \gset
-- With all guards off, in a transaction that is rolled back. Rows are told by their distance from the last one,
-- leaves by that from the first one of this test.
\set show 'SELECT * FROM tamper.found(:last, :before);'
CREATE FUNCTION tamper.found(last bigint, before bigint)
RETURNS TABLE (code text, stream text, back bigint, leaf bigint, field text, detail text) LANGUAGE sql AS $$
    SELECT v.code, v.stream, last - v.id::bigint, v.leaf_index - before, v.field,
           regexp_replace(regexp_replace(v.detail, '(transaction|seal) \d+', '\1 N'),
                          '; authorised redactions: [^;]*', '')
    FROM audit.verify(workers => 0) v $$;
CREATE FUNCTION tamper.unguard() RETURNS SETOF regclass LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT t.tgrelid::regclass AS own, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'audit'::regnamespace AND t.tgfoid = 'audit.prevent_modification()'::regprocedure
        AND t.tgparentid = 0 LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', part.own, part.tgname);
        RETURN NEXT part.own;
    END LOOP;
END $$;
BEGIN;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
SELECT count(*) > 0 AS unguarded FROM tamper.unguard();
:show
-- a value of a row, plain or erasable, and only its time
SAVEPOINT s;
UPDATE audit.audit_log SET login_role = 'somebody' WHERE id = :last - 10;
:show
SELECT field, stored_value FROM audit.explain_row('audit_log', :last - 10) WHERE NOT matches AND field !~ 'leaf';
ROLLBACK TO s;
UPDATE audit.audit_log SET new_record = new_record || '{"email": "other"}' WHERE id = :last - 9;
UPDATE audit.audit_log SET logged_at = logged_at + interval '1 microsecond' WHERE id = :last - 8;
UPDATE audit.audit_log SET record_id = NULL WHERE id = :last - 7;
UPDATE audit.audit_log SET salt = gen_random_uuid() WHERE id = :last - 6;
:show
SELECT field, stored_value FROM audit.explain_row('audit_log', :last - 9) WHERE NOT matches AND field !~ 'leaf';
ROLLBACK TO s;
-- a row less, a row more, a row twice, two rows exchanged
DELETE FROM audit.audit_log WHERE id IN (:last, :last - 3);
:show
ROLLBACK TO s;
INSERT INTO audit.audit_log SELECT (jsonb_populate_record(l, jsonb_build_object('id', l.id + 1000000))).*
    FROM audit.audit_log l WHERE l.id = :last;
SELECT code, stream, -back AS ahead, detail FROM tamper.found(:last, :before);
ROLLBACK TO s;
INSERT INTO audit.audit_log SELECT (jsonb_populate_record(l, '{"transaction_id": -1}')).*
    FROM audit.audit_log l WHERE l.id = :last;
:show
ROLLBACK TO s;
UPDATE audit.audit_log SET id = id + 1000000 WHERE id IN (:last - 1, :last - 2);
UPDATE audit.audit_log SET id = 2 * :last - 3 - (id - 1000000) WHERE id > :last;
:show
ROLLBACK TO s;
UPDATE audit.audit_log SET salt = NULL WHERE id = :last - 5;
:show
ROLLBACK TO s;
-- events, holds and schemas
UPDATE audit.guard_events SET reason = 'harmless' WHERE id = (SELECT max(id) FROM audit.guard_events);
SELECT v.code, v.stream, v.id::bigint = (SELECT max(id) FROM audit.guard_events) AS it
    FROM audit.verify(stream => 'guard_events', workers => 0) v;
ROLLBACK TO s;
UPDATE audit.ledger_schemas SET definition = replace(definition, 'login_role', 'actor_role') WHERE stream_no = 1;
SELECT DISTINCT v.code, v.stream FROM audit.verify(workers => 0) v ORDER BY 1;
ROLLBACK TO s;
-- the tree itself
UPDATE audit.seals SET leaf_hashes = overlay(leaf_hashes PLACING '\x00'::bytea FROM 40)
    WHERE seal_no = (SELECT max(seal_no) FROM audit.seals);
:show
ROLLBACK TO s;
UPDATE audit.seals SET root_after = sha256('x') WHERE seal_no = (SELECT max(seal_no) FROM audit.seals);
:show
ROLLBACK TO s;
UPDATE audit.seals SET snapshot = '999999:999999:' WHERE seal_no = (SELECT max(seal_no) FROM audit.seals);
SELECT DISTINCT v.code FROM audit.verify(workers => 0) v ORDER BY 1;
ROLLBACK TO s;
DELETE FROM audit.seals WHERE seal_no = (SELECT max(seal_no) - 1 FROM audit.seals);
SELECT DISTINCT v.code FROM audit.verify(workers => 0) v ORDER BY 1;
ROLLBACK TO s;
-- erased without a word
UPDATE audit.audit_log SET new_record = NULL, redaction = '\x01' WHERE id = :last - 11;
:show
ROLLBACK TO s;
-- everything is as it was
:show
ROLLBACK;
SELECT audit.disable_tracking('tamper.visits', 'done');
DROP SCHEMA tamper CASCADE;
