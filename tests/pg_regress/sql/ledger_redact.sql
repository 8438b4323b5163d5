-- Erasing what is sealed: what stays is still proven, and nothing is erased without a word.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE ROLE regress_officer;
GRANT audit_officer TO regress_officer;
CREATE SCHEMA erased;
CREATE TABLE erased.people (id text PRIMARY KEY, user_id text, email text, "Full ""name" text);
SELECT audit.enable_tracking('erased.people');
BEGIN;
SELECT audit.set_context(actor_id => 'p1', client_ip => '192.0.2.7');
INSERT INTO erased.people VALUES ('p1', 'u1', 'ada@example.org', 'Ada L'), ('p2', 'u2', 'bob@example.org', NULL);
COMMIT;
UPDATE erased.people SET email = 'ada@example.com' WHERE id = 'p1';
INSERT INTO erased.people VALUES ('x', 'P1', 'third@example.org', 'Ada L');
DELETE FROM erased.people WHERE id = 'p2';
SELECT max(id) AS last, max(id) - 4 AS first FROM audit.audit_log \gset
SELECT audit.seal() > 0 AS done;
CREATE FUNCTION t.rows(since bigint) RETURNS TABLE (op audit.operation, record_id text, actor_id text,
    client_ip inet, old_record jsonb, new_record jsonb, is_redacted boolean) LANGUAGE sql AS $$
    SELECT operation, record_id, actor_id, client_ip, old_record, new_record, redaction IS NOT NULL
    FROM audit.audit_log WHERE id >= since AND table_schema = 'erased' ORDER BY id $$;
SET ROLE regress_officer;
-- what is refused
SELECT a.arguments, t.code, t.message FROM unnest(ARRAY[
    $$NULL, '1', '{email}', 'law', 'T'$$, $$'audit_log', NULL::text, '{email}', 'law', 'T'$$,
    $$'audit_log', '1', NULL, 'law', 'T'$$, $$'audit_log', '1', '{}', 'law', 'T'$$,
    $$'audit_log', '1', '{email,NULL}', 'law', 'T'$$, $$'audit_log', '1', '{{a},{b}}', 'law', 'T'$$,
    $$'audit_log', '1', '{email}', NULL, 'T'$$, $$'audit_log', '1', '{email}', 'law', NULL$$,
    $$'audit_log', '1', '{email}', ' ', 'T'$$, $$'audit_log', '1', '{email}', 'law', ''$$,
    $$'nothing', '1', '{email}', 'law', 'T'$$, $$'audit_log', 'x', '{email}', 'law', 'T'$$,
    $$'audit_log', '1 OR true', '{email}', 'law', 'T'$$, $$'audit_log', '-1', '{email}', 'law', 'T'$$,
    $$'audit_log', '99999999999999999999', '{email}', 'law', 'T'$$,
    $$'audit_log', '999999999999', '{email}', 'law', 'T'$$]) a(arguments),
    t.try(format('SELECT audit.redact(%s)', a.arguments)) t;
SELECT code, replace(message, :'first', 'N') AS message FROM unnest(ARRAY['salt', 'login_role', 'no "such" field', 'transaction_id'])
    f(field), t.try(format('SELECT audit.redact(%L, %L, ARRAY[%L], %L, %L)', 'audit_log', :first, f.field, 'law', 'T'));
SELECT code, message FROM unnest(ARRAY[$$NULL, '{email}', 'law', 'T'$$, $$' ', '{email}', 'law', 'T'$$,
    $$'p1', '{}', 'law', 'T'$$, $$'p1', '{email}', 'law', 'T', 0$$, $$'p1', '{email}', 'law', 'T', NULL$$,
    $$'p1', '{email}', 'law', 'T', 100001$$]) a(arguments),
    t.try(format('SELECT * FROM audit.redact_subject(%s)', a.arguments));
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT audit.redact('audit_log', :first, '{email}', 'law', 'T');
ROLLBACK;
-- one row: a key of both images, and a column
SELECT audit.redact('audit_log', :first, '{email,client_ip}', 'GDPR 17(1)(b)', 'DPO-1') > 0 AS event;
-- its notice names the row
SET client_min_messages = warning;
SELECT audit.redact('audit_log', :'first', '{email}', 'GDPR 17(1)(b)', 'DPO-1') AS nothing_left;
RESET client_min_messages;
RESET ROLE;
SELECT op, client_ip, new_record, is_redacted FROM t.rows(:first) LIMIT 1;
SELECT code, detail ~ 'authorised redactions: audit_log 1' AS authorised FROM audit.verify();
-- rolled back, nothing is erased
BEGIN;
SELECT audit.redact('audit_log', :first + 2, '{email}', 'GDPR 17(1)(b)', 'DPO-1') > 0 AS event;
ROLLBACK;
SELECT op, old_record ->> 'email' AS before, new_record ->> 'email' AS after FROM t.rows(:first + 2) LIMIT 1;
-- a person: by key, by who acted, by the columns that name people; what is held stays
SET ROLE regress_officer;
SELECT audit.place_hold('audit.audit_log', 'court', record_ids => '{x}') AS held \gset
-- and here the hold
SET client_min_messages = warning;
SELECT * FROM audit.redact_subject('p1', '{email,"Full \"name"}', 'GDPR 17(1)(b)', 'DPO-2', 1);
SELECT * FROM audit.redact_subject('p1', '{email,"Full \"name"}', 'GDPR 17(1)(b)', 'DPO-2') WHERE stream = 'audit_log';
RESET client_min_messages;
SELECT code, regexp_replace(message, '\d+', 'N', 'g') AS message, regexp_replace(hint, '\d+', 'N') AS hint
    FROM t.try(format('SELECT audit.redact(%L, %L, %L, %L, %L)', 'audit_log', :last - 1, '{email}', 'law', 'T'));
SELECT audit.release_hold(:held, 'over');
SELECT * FROM audit.redact_subject('p1', '{email,"Full \"name",actor_id}', 'GDPR 17(1)(b)', 'DPO-2');
SELECT * FROM audit.redact_subject('nobody', '{email}', 'GDPR 17(1)(b)', 'DPO-2');
SELECT * FROM audit.redact_subject('p1'' OR true --', '{email}', 'GDPR 17(1)(b)', 'DPO-2');
RESET ROLE;
SELECT * FROM t.rows(:first);
-- sealed after it was erased, whole columns, an event
SET ROLE regress_officer;
SELECT audit.redact('audit_log', :last, '{old_record,context}', 'GDPR 17(1)(b)', 'DPO-3') > 0 AS event;
RESET ROLE;
SELECT op, old_record, new_record, is_redacted FROM t.rows(:last);
SELECT audit.disable_tracking('erased.people', 'asked for by Ada L');
SELECT max(id) AS event FROM audit.guard_events \gset
SELECT audit.redact('guard_events', :event, '{reason}', 'GDPR 17(1)(b)', 'DPO-4') > 0 AS event;
SELECT code FROM audit.verify();
SELECT audit.seal() > 0 AS done;
SELECT code, substring(detail FROM 'authorised redactions: [^;]*') AS redactions FROM audit.verify();
SELECT object, reason, detail - 'id' - 'leaf' - 'stream_no' AS detail FROM audit.guard_events
    WHERE kind = 'redacted' ORDER BY id;
-- what was erased is nowhere in the tables
SELECT count(*) AS found FROM audit.audit_log l WHERE l::text ~ 'ada@|Ada L' AND l.table_schema = 'erased';
-- nobody erases without an event, or more than the event says
BEGIN;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER TABLE audit.guard_events DISABLE TRIGGER immutable_row;
ALTER TABLE audit.guard_events DISABLE TRIGGER immutable_statement;
ALTER TABLE audit.audit_log DISABLE TRIGGER immutable_statement;
SELECT t.hot_leaf() AS leaf \gset
ALTER TABLE :leaf DISABLE TRIGGER immutable_row;
SAVEPOINT s;
UPDATE audit.guard_events SET detail = jsonb_set(detail, '{erased}', '["new_record.email"]')
    WHERE kind = 'redacted' AND detail ->> 'id' = :'first';
SELECT code, stream, field FROM audit.verify() WHERE stream = 'audit_log';
ROLLBACK TO s;
DELETE FROM audit.guard_events WHERE kind = 'redacted' AND detail ->> 'id' = :'last';
SELECT code, stream, detail FROM audit.verify() WHERE stream = 'audit_log';
ROLLBACK TO s;
-- nor puts another value in the place of what was erased, or another leaf
UPDATE audit.audit_log SET new_record = new_record || '{"email": "eve@example.org"}' WHERE id = :first;
SELECT code, stream FROM audit.verify() WHERE stream = 'audit_log';
ROLLBACK TO s;
UPDATE audit.audit_log SET login_role = 'eve' WHERE id = :first;
SELECT code, stream FROM audit.verify() WHERE stream = 'audit_log';
ROLLBACK;
-- who may
SET ROLE regress_admin;
SELECT code, message FROM t.try($$SELECT audit.redact('audit_log', '1', '{email}', 'law', 'T')$$);
SELECT code, message FROM t.try($$SELECT audit.redact_subject('p1', '{email}', 'law', 'T')$$);
SELECT code, message FROM t.try($$SELECT audit._erase_row('audit_log', 1, '{email}', NULL)$$);
RESET ROLE;
DROP FUNCTION t.rows;
DROP SCHEMA erased CASCADE;
REVOKE audit_officer FROM regress_officer;
DROP ROLE regress_officer;
