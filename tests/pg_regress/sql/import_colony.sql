-- Histories of the colony application's own audit_log.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
CREATE SCHEMA old AUTHORIZATION regress_owner;
SET LOCAL ROLE regress_owner;
CREATE TYPE old.operation AS ENUM ('INSERT', 'UPDATE', 'DELETE');
CREATE TABLE old.audit_log (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), table_schema text NOT NULL,
    table_name text NOT NULL, table_oid oid NOT NULL, record_id uuid, record_pk jsonb,
        operation old.operation NOT NULL,
    old_record jsonb, new_record jsonb, changed_fields text[], actor_id uuid, actor_role text,
        actor_ip inet,
    actor_user_agent text, community_id uuid, logged_at timestamptz NOT NULL DEFAULT now(),
        transaction_id bigint);
CREATE TABLE old.packages (id uuid PRIMARY KEY, community_id uuid, status text, code text);
SELECT audit.enable_tracking('old.packages', mask => '{code}');
INSERT INTO old.audit_log VALUES
    ('01990000-0000-7000-8000-000000000001', 'old', 'packages', 1, '6f1e8c4a-0b2d-4c3e-9f10-000000000001',
        NULL, 'INSERT',
     NULL, '{"id": "6f1e8c4a-0b2d-4c3e-9f10-000000000001", 
             "community_id": "6f1e8c4a-0b2d-4c3e-9f10-00000000000c",
             "status": "received", "code":
                 "LEAK"}', NULL, '6f1e8c4a-0b2d-4c3e-9f10-00000000000a', 'authenticated', '192.0.2.1',
     'curl/8', '6f1e8c4a-0b2d-4c3e-9f10-00000000000c', '2024-02-01', 31),
    ('01990000-0000-7000-8000-000000000003', 'old', 'packages', 1, '6f1e8c4a-0b2d-4c3e-9f10-000000000001',
        NULL, 'UPDATE',
     '{"id": "6f1e8c4a-0b2d-4c3e-9f10-000000000001", "status": "received", "code": "LEAK"}',
     '{"id": "6f1e8c4a-0b2d-4c3e-9f10-000000000001", "status": "lost", "code": "LEAK2"}', '{status,code}',
         NULL, 'postgres', NULL,
     NULL, '6f1e8c4a-0b2d-4c3e-9f10-00000000000d', '2024-02-02', 32),
    ('01990000-0000-7000-8000-000000000002', 'old', 'packages', 1, '6f1e8c4a-0b2d-4c3e-9f10-000000000001',
        NULL, 'UPDATE',
     '{"id": "6f1e8c4a-0b2d-4c3e-9f10-000000000001"}', '{"id": "6f1e8c4a-0b2d-4c3e-9f10-000000000001"}',
         '{}', NULL, NULL, NULL,
     NULL, NULL, '2024-02-02', 32),
    ('01990000-0000-7000-8000-000000000004', 'old', 'letters', 1, NULL, '{"a": 1, "b": 2}', 'DELETE',
     '{"a": 1, "b": 2}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2024-02-03', 33);
SELECT * FROM audit.import_history('old.audit_log', 'colony');
SELECT * FROM audit.import_history('old.audit_log', 'colony');
RESET ROLE;
SELECT context ->> 'original_id' AS original_id, operation, table_name, record_id, changed_fields,
    old_record, new_record
    FROM audit.audit_log WHERE context ? 'imported_from' ORDER BY id;
SELECT actor_id, actor_role, login_role, client_ip, tenant_id, context - 'original_id' AS context
    FROM audit.audit_log WHERE context ? 'imported_from' ORDER BY id;
SELECT count(*) AS leaks FROM audit.audit_log l WHERE l::text LIKE '%LEAK%';
-- its type goes when its schema does, and the column operation with it
SET LOCAL ROLE regress_owner;
DROP TYPE old.operation CASCADE;
UPDATE old.audit_log SET logged_at = logged_at + interval '1 hour';
SELECT * FROM audit.import_history('old.audit_log', 'colony');
RESET ROLE;
SELECT operation, count(*) FROM audit.audit_log WHERE context ? 'imported_from' GROUP BY 1 ORDER BY 1;
SET LOCAL ROLE regress_owner;
-- the tables of later capabilities are not in this layout
CREATE TABLE old.user_sessions (id uuid, user_id uuid);
SELECT code, message FROM t.try('SELECT audit.import_history(''old.user_sessions'', ''colony'')');
ROLLBACK;
