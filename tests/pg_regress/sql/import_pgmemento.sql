-- Histories of pgMemento: three tables, changes without the rest of the row, records known by a number.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
CREATE SCHEMA old AUTHORIZATION regress_owner;
CREATE SCHEMA memento AUTHORIZATION regress_owner;
SET LOCAL ROLE regress_owner;
CREATE TABLE memento.transaction_log (id serial PRIMARY KEY, txid bigint NOT NULL,
    txid_time timestamptz NOT NULL,
    process_id integer, user_name text, client_name text, client_port integer, application_name text,
    session_info jsonb);
CREATE TABLE memento.table_event_log (id serial PRIMARY KEY, transaction_id integer NOT NULL,
    stmt_time timestamptz NOT NULL, op_id smallint NOT NULL, table_operation text, table_name text NOT NULL,
    schema_name text NOT NULL, event_key text NOT NULL);
CREATE TABLE memento.row_log (id bigserial PRIMARY KEY, audit_id bigint NOT NULL, event_key text NOT NULL,
    old_data jsonb, new_data jsonb);
CREATE TABLE old.live (id integer PRIMARY KEY, v text, secret text, pgmemento_audit_id bigint);
CREATE TABLE old.pairs (a integer, b text, v text, PRIMARY KEY (a, b));
SELECT audit.enable_tracking('old.live', mask => '{secret}', exclude => '{pgmemento_audit_id}');
SELECT audit.enable_tracking('old.pairs');
INSERT INTO old.live VALUES (10, 'now', 'LEAK', 501);
INSERT INTO memento.transaction_log (txid, txid_time, user_name, client_name, application_name,
    session_info)
    VALUES (900, '2024-02-01', 'app', '192.0.2.9/32', 'web', '{"client_user": "ada"}'),
           (901, '2024-02-02', 'app', NULL, NULL, NULL);
INSERT INTO memento.table_event_log (transaction_id, stmt_time, op_id, table_operation, table_name,
    schema_name, event_key)
    VALUES (1, '2024-02-01 10:00', 3, 'INSERT', 'live', 'old', 'k1'), (1, '2024-02-01 10:01', 4, 'UPDATE',
        'live', 'old', 'k2'),
           (2, '2024-02-02 10:00', 3, 'INSERT', 'pairs', 'old', 'k3'), (2, '2024-02-02 10:01', 4,
               'UPDATE', 'pairs', 'old', 'k4'),
           (2, '2024-02-02 10:02', 7, 'DELETE', 'pairs', 'old', 'k5'), (2, '2024-02-02 10:03', 8,
               'TRUNCATE', 'pairs', 'old', 'k6'),
           (2, '2024-02-02 10:04', 6, 'DROP COLUMN', 'pairs', 'old', 'k7'), (2, '2024-02-02 10:05', 4,
               'UPDATE', 'gone', 'old', 'k8');
INSERT INTO memento.row_log (audit_id, event_key, old_data, new_data) VALUES
    (501, 'k1', NULL, NULL), (501, 'k2', '{"secret": "LEAK", "v": "before"}',
        '{"secret": "LEAK2", "v": "after"}'),
    (502, 'k3', NULL, NULL), (502, 'k4', '{"v": "x"}', NULL), (502, 'k5', '{"a": 1, "b": "z", "v": "y"}',
        NULL),
    (503, 'k6', '{"a": 2, "b": "z", "v": "t"}', NULL), (503, 'k7', '{"w": 1}', NULL), (504, 'k8',
        '{"v": 1}', '{"v": 2}'),
    (505, 'no event', '{"v": 1}', NULL);
SELECT * FROM audit.import_history('memento.row_log', 'pgmemento');
SELECT * FROM audit.import_history('memento.row_log', 'pgmemento');
RESET ROLE;
SELECT logged_at, operation, table_name, record_id, changed_fields, old_record, new_record
    FROM audit.audit_log
    WHERE context ? 'imported_from' ORDER BY id;
SELECT DISTINCT login_role, actor_role, client_ip, application_name, context - 'original_id' AS context
    FROM audit.audit_log WHERE context ? 'imported_from' ORDER BY 5;
SELECT count(*) AS leaks FROM audit.audit_log l WHERE l::text LIKE '%LEAK%';
SELECT operation, new_values -> 'v' AS v FROM audit.record_history('old.live', 10);
SELECT operation, old_values -> 'v' AS v FROM audit.record_history('old.pairs', '[1, "z"]');
-- the tables beside the source are looked at as closely as the source
SET LOCAL ROLE regress_owner;
SAVEPOINT whole;
ALTER TABLE memento.table_event_log RENAME TO elsewhere;
SELECT * FROM t.try('SELECT audit.import_history(''memento.row_log'', ''pgmemento'')');
CREATE VIEW memento.table_event_log AS SELECT * FROM memento.elsewhere;
SELECT code, message FROM t.try('SELECT audit.import_history(''memento.row_log'', ''pgmemento'')');
ROLLBACK TO whole;
ALTER TABLE memento.transaction_log DROP id;
SELECT code, message, hint FROM t.try('SELECT audit.import_history(''memento.row_log'', ''pgmemento'')');
ROLLBACK;
