-- Erasing fields of a stored row: the row changes, its leaf does not.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA erased;
SET search_path = erased;
CREATE TABLE people (id integer PRIMARY KEY, name text, note jsonb, "Ünï ""q""" text);
SELECT audit.enable_tracking('people');
INSERT INTO people VALUES (1, 'ada', '{"a": [1, {"b": "deep"}]}', 'x'), (2, 'bob', NULL, NULL),
                          (3, 'cy', '"scalar"', repeat('long ', 100));
UPDATE people
SET name = 'ada lovelace', note = (SELECT jsonb_object_agg(i, md5(i::text)) FROM generate_series(1, 3000) i)
WHERE id = 1;
SELECT audit.seal() > 0 AS sealed;
CREATE VIEW log AS
SELECT l.id, l.operation, l.record_id, l.old_record - 'note' AS old, l.new_record - 'note' AS new,
       l.salt IS NULL AS no_salt, l.redaction IS NOT NULL AS redacted
FROM audit.audit_log l WHERE l.table_schema = 'erased' AND l.table_name = 'people';
SELECT id AS inserted FROM log WHERE record_id = '1' AND operation = 'INSERT' \gset
SELECT id AS updated FROM log WHERE operation = 'UPDATE' \gset
SELECT id AS second FROM log WHERE record_id = '2' \gset
CREATE FUNCTION leaf(id bigint) RETURNS boolean LANGUAGE sql AS $$
    SELECT bool_and(e.matches) FROM audit.explain_row('audit_log', $1::text) e
    WHERE starts_with(e.field, 'leaf')
$$;
-- Nothing of this stays: an erasure without its event is itself a finding.
BEGIN;
SELECT audit._erase_row('audit_log', :inserted, '{name}');
SELECT old, new, no_salt, redacted, leaf(id) FROM log WHERE id = :inserted;
-- again, with more: what was erased is passed over
SELECT audit._erase_row('audit_log', :inserted, '{name,note}');
SELECT audit._erase_row('audit_log', :inserted, '{name,note}');
SELECT new_record, leaf(id) FROM audit.audit_log WHERE id = :inserted;
-- in both images; a value that was stored elsewhere; a name that needs quotes
SELECT audit._erase_row('audit_log', :updated, '{"Ünï \"q\"",note}', transaction_id)
FROM audit.audit_log WHERE id = :updated;
SELECT old_record, new_record, leaf(id) FROM audit.audit_log WHERE id = :updated;
-- a whole image
SELECT audit._erase_row('audit_log', :second, '{new_record}');
SELECT old, new, leaf(id) FROM log WHERE id = :second;
-- what comes back with a savepoint
SAVEPOINT a;
SELECT audit._erase_row('audit_log', :updated, '{name}');
ROLLBACK TO a;
SELECT old, new FROM log WHERE id = :updated;
SELECT audit._erase_row('audit_log', :updated, '{id}');
RELEASE a;
SELECT old, new, leaf(id) FROM log WHERE id = :updated;
-- indexes lead to the row as it is now
SET enable_seqscan = off;
SELECT count(*) FROM log WHERE record_id = '1' AND operation = 'UPDATE';
RESET enable_seqscan;
SELECT count(*) FROM audit.verify() v WHERE v.code IN ('modified', 'missing', 'orphan', 'tree_mismatch');
-- the name of a column that cannot be erased may still be that of a member
CREATE TABLE surgery (id integer PRIMARY KEY, operation text);
SELECT audit.enable_tracking('surgery');
INSERT INTO surgery VALUES (1, 'appendix');
SELECT audit._erase_row('audit_log', max(id), '{operation}')
FROM audit.audit_log WHERE table_schema = 'erased';
SELECT operation, new_record FROM audit.audit_log WHERE table_schema = 'erased' ORDER BY id DESC LIMIT 1;
-- nothing there to erase, and what cannot be erased
SELECT audit._erase_row('audit_log', :second, '{nobody}');
SELECT audit._erase_row('audit_log', :second, '{}');
SELECT code, message
FROM t.try(format('SELECT audit._erase_row(''audit_log'', %s, ''{operation}'')', :second));
SELECT code, message FROM t.try('SELECT audit._erase_row(''audit_log'', -1, ''{name}'')');
SELECT code, message FROM t.try('SELECT audit._erase_row(''nowhere'', 1, ''{name}'')');
ROLLBACK;
SELECT bool_and(leaf(id)) AS as_sealed, bool_or(no_salt OR redacted) AS erased FROM log;
DROP VIEW log;
SET client_min_messages = warning;
DROP SCHEMA erased CASCADE;
