-- Histories of audit-trigger in the form of its forks that keep jsonb, and what import_history refuses.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
CREATE SCHEMA old AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA old TO PUBLIC;
SET LOCAL ROLE regress_owner;
CREATE TABLE old.logged_actions (event_id bigserial PRIMARY KEY, schema_name text NOT NULL,
    table_name text NOT NULL,
    relid oid NOT NULL, session_user_name text, action_tstamp_tx timestamptz NOT NULL,
        action_tstamp_stm timestamptz,
    action_tstamp_clk timestamptz, transaction_id bigint, application_name text, client_addr inet,
    client_port integer, client_query text, action text NOT NULL, row_data jsonb, changed_fields jsonb,
    statement_only boolean NOT NULL DEFAULT false);
CREATE TABLE old.items (id integer PRIMARY KEY, v text, n integer, secret text);
SELECT audit.enable_tracking('old.items', exclude => '{secret}');
INSERT INTO old.logged_actions (schema_name, table_name, relid, session_user_name, action_tstamp_tx,
    action_tstamp_clk, transaction_id, application_name, client_addr, client_query, action, row_data,
        changed_fields,
    statement_only)
SELECT 'old', 'items', 'old.items'::regclass, 'app', '2024-02-01 12:00', at, 77, 'web', '192.0.2.7',
       'UPDATE items SET secret = ''LEAK''', action, row_data, changed_fields, action = 'T'
FROM (VALUES ('2024-02-01 12:00:01+00'::timestamptz, 'I',
    '{"id": 1, "v": "a", "n": 1, "secret": "LEAK"}'::jsonb,
              NULL::jsonb),
             ('2024-02-01 12:00:02+00', 'U', '{"id": 1, "v": "a", "n": 1, "secret": "LEAK"}',
                 '{"n": 2, "v": "b"}'),
             ('2024-02-01 12:00:03+00', 'UPDATE', '{"id": 1, "v": "b", "n": 2, "secret": "LEAK"}',
              '{"secret": "LEAK2"}'),
             ('2024-02-01 12:00:04+00', 'D', '{"id": 1, "v": "b", "n": 2, "secret": "LEAK2"}', NULL),
             (NULL, 'T', NULL, NULL),
             ('2024-02-01 12:00:06+00', '?', NULL, NULL)) e(at, action, row_data, changed_fields);
SELECT * FROM audit.import_history('old.logged_actions', 'audit_trigger');
RESET ROLE;
SELECT logged_at, operation, record_id, changed_fields, old_record, new_record FROM audit.audit_log
    WHERE table_schema = 'old' ORDER BY id;
SELECT DISTINCT actor_role, login_role, application_name, client_ip, context - 'original_id' AS context
    FROM audit.audit_log WHERE table_schema = 'old';
SELECT count(*) AS leaks FROM audit.audit_log l WHERE l::text LIKE '%LEAK%';
SELECT operation, old_values, new_values FROM audit.record_history('old.items', 1);
-- a source that is partitioned
SET LOCAL ROLE regress_owner;
CREATE TABLE old.in_parts (LIKE old.logged_actions) PARTITION BY LIST (action);
CREATE TABLE old.in_parts_1 PARTITION OF old.in_parts DEFAULT;
INSERT INTO old.in_parts SELECT * FROM old.logged_actions;
UPDATE old.in_parts SET event_id = event_id + 100;
SELECT * FROM audit.import_history('old.in_parts', 'audit_trigger');
SAVEPOINT refusals;
-- what is refused
SELECT * FROM t.try('SELECT audit.import_history(NULL, ''colony'')');
SELECT * FROM t.try('SELECT audit.import_history(''old.items'', NULL)');
SELECT * FROM t.try('SELECT audit.import_history(''old.items'', ''Supa_Audit'')');
SELECT * FROM t.try('SELECT audit.import_history(''old.items'', ''x'''' OR true --'')');
SELECT * FROM t.try('SELECT audit.import_history(4294967295::oid::regclass, ''colony'')');
SELECT * FROM t.try('SELECT audit.import_history(''old.items'', ''audit_trigger'')');
SELECT * FROM t.try('SELECT audit.import_history(''old.logged_actions'', ''supa_audit'')');
SELECT * FROM t.try('SELECT audit.import_history(''old.logged_actions'', ''pgmemento'')');
-- nothing but a table, and no type that somebody else made
CREATE FUNCTION old.trap() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'foreign code ran as %', current_user;
END $$;
CREATE VIEW old.a_view AS SELECT *, old.trap() AS sprung FROM old.logged_actions;
SELECT * FROM t.try('SELECT audit.import_history(''old.a_view'', ''audit_trigger'')');
CREATE MATERIALIZED VIEW old.a_copy AS SELECT * FROM old.logged_actions;
SELECT code, message FROM t.try('SELECT audit.import_history(''old.a_copy'', ''audit_trigger'')');
CREATE SEQUENCE old.a_sequence;
SELECT code, message FROM t.try('SELECT audit.import_history(''old.a_sequence'', ''audit_trigger'')');
CREATE TABLE old.heir () INHERITS (old.logged_actions);
SELECT code, message FROM t.try('SELECT audit.import_history(''old.logged_actions'', ''audit_trigger'')');
DROP TABLE old.heir;
CREATE DOMAIN old.checked AS jsonb CHECK (old.trap());
CREATE TABLE old.with_domain AS SELECT * FROM old.logged_actions LIMIT 0;
ALTER TABLE old.with_domain ALTER row_data TYPE old.checked;
SELECT * FROM t.try('SELECT audit.import_history(''old.with_domain'', ''audit_trigger'')');
CREATE TYPE old.hstore AS (x integer);
CREATE FUNCTION old.cast_trap(old.hstore) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'foreign code ran as %', current_user;
END $$;
CREATE CAST (old.hstore AS jsonb) WITH FUNCTION old.cast_trap;
CREATE TABLE old.with_hstore AS SELECT * FROM old.logged_actions LIMIT 0;
ALTER TABLE old.with_hstore DROP row_data, ADD row_data old.hstore;
INSERT INTO old.with_hstore (event_id, schema_name, table_name, action_tstamp_tx, action, row_data)
    VALUES (1, 'old', 'items', '2024-01-01', 'I', ROW(1));
SELECT code, message FROM t.try('SELECT audit.import_history(''old.with_hstore'', ''audit_trigger'')');
CREATE TABLE old.generated (LIKE old.logged_actions);
ALTER TABLE old.generated DROP application_name, ADD application_name text GENERATED ALWAYS AS ('x') STORED;
SELECT code, message FROM t.try('SELECT audit.import_history(''old.generated'', ''audit_trigger'')');
-- somebody else's table: with SELECT only, and whole or not at all
SET LOCAL ROLE regress_admin;
SELECT * FROM t.try('SELECT audit.import_history(''old.logged_actions'', ''audit_trigger'')');
SET LOCAL ROLE regress_owner;
GRANT SELECT ON old.logged_actions TO regress_admin;
SET LOCAL ROLE regress_admin;
SELECT rows_read, rows_imported, note FROM audit.import_history('old.logged_actions', 'audit_trigger');
SET LOCAL ROLE regress_owner;
ALTER TABLE old.logged_actions ENABLE ROW LEVEL SECURITY;
CREATE POLICY a_few ON old.logged_actions USING (old.trap());
SELECT rows_read, rows_imported FROM audit.import_history('old.logged_actions', 'audit_trigger');
SET LOCAL ROLE regress_admin;
SELECT * FROM t.try('SELECT audit.import_history(''old.logged_actions'', ''audit_trigger'')');
-- not an admin; and nobody writes rows that no event announced
SET LOCAL ROLE regress_app;
SELECT code, message FROM t.try('SELECT audit.import_history(''old.logged_actions'', ''audit_trigger'')');
SELECT code, message FROM t.try('SELECT audit._import_rows(''colony'', ''{}'')');
SET LOCAL ROLE regress_reader;
SELECT code, message FROM t.try('SELECT audit.import_history(''old.logged_actions'', ''audit_trigger'')');
SET LOCAL ROLE regress_admin;
SELECT * FROM t.try($$SELECT audit._import_rows('colony',
    ARRAY[jsonb_populate_record(NULL::audit._import_row,
    '{"table_schema": "old", "table_name": "other", "operation": "DELETE", "logged_at": "2024-01-01"}')])$$);
SELECT * FROM t.try($$SELECT audit._import_rows(NULL, ARRAY[jsonb_populate_record(NULL::audit._import_row,
    '{"table_schema": "old", "table_name": "items", "operation": "DELETE", "logged_at": "2024-01-01"}')])$$);
RESET ROLE;
SELECT count(*) FROM audit.audit_log WHERE NOT context ? 'imported_from' AND table_schema = 'old';
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM t.try('SELECT audit.import_history(''pg_class'', ''colony'')');
ROLLBACK;
