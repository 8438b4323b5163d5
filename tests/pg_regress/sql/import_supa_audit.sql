-- Histories of supa_audit: its table, made by our own hands, becomes rows of the log.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
-- everything is rolled back at the end: the log keeps what it gets
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
CREATE SCHEMA old AUTHORIZATION regress_owner;
SET LOCAL ROLE regress_owner;
CREATE TYPE old.operation AS ENUM ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'SNAPSHOT', 'VACUUM');
CREATE TABLE old.record_version (id bigserial, record_id uuid, old_record_id uuid,
    op old.operation NOT NULL,
    ts timestamptz, table_oid oid NOT NULL, table_schema name NOT NULL, table_name name NOT NULL,
        record jsonb,
    old_record jsonb, auth_uid uuid, auth_role text);
CREATE TABLE old.members (id integer PRIMARY KEY, tenant_id text, name text, email text, pin text,
    born date);
CREATE TABLE old."Ünï ""q"" t" (a integer, b text, v text, PRIMARY KEY (b, a));
CREATE TABLE old.parted (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE old.parted_1 PARTITION OF old.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE old.untracked (id integer PRIMARY KEY);
CREATE TABLE old.long_key (k text PRIMARY KEY);
SELECT audit.enable_tracking('old.members', exclude => '{pin}', mask => '{email}', phi => true);
SELECT audit.enable_tracking('old."Ünï ""q"" t"');
SELECT audit.enable_tracking('old.parted');
SELECT audit.enable_tracking('old.long_key');
CREATE FUNCTION old.entry(at timestamptz, op text, of_table text, record jsonb,
    old_record jsonb DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO old.record_version (record_id, op, ts, table_oid, table_schema, table_name, record,
        old_record,
                                    auth_uid, auth_role)
    VALUES (CASE WHEN op <> 'TRUNCATE' THEN '11111111-2222-4333-8444-555555555555'::uuid END,
            op::old.operation, at, coalesce(to_regclass(format('old.%I', of_table)), 1::oid), 'old',
                of_table,
            record, old_record, '6f1e8c4a-0b2d-4c3e-9f10-1234567890ab', 'authenticated')
$$;
SELECT old.entry('2024-03-01', 'UPDATE', 'members',
    '{"id": 1, "tenant_id": "a", "name": "Ada", "email": "LEAK2", "pin": "LEAK", "born": "1815-12-10"}',
    '{"id": 1, "tenant_id": "a", "name": "ada", "email": "LEAK1", "pin": "LEAK", "born": "1815-12-10"}');
SELECT old.entry('2024-01-31 23:59:59.5+00', 'INSERT', 'members',
    '{"id": 1, "tenant_id": "a", "name": "ada", "email": "LEAK1", "pin": "LEAK", "born": "1815-12-10"}');
-- a key that moves
SELECT old.entry('2024-03-02', 'UPDATE', 'members', '{"id": 2, "tenant_id": "a"}',
    '{"id": 1, "tenant_id": "a"}');
SELECT old.entry('2024-03-03', 'DELETE', 'members', NULL, '{"id": 2, "tenant_id": "a", "email": "LEAK"}');
SELECT old.entry('2024-03-04', 'TRUNCATE', 'members', NULL);
-- a key of several columns, in the order of the key; a table that was called by its partition
SELECT old.entry('2024-03-05', 'SNAPSHOT', 'Ünï "q" t', '{"a": 7, "b": "x \"y\" \\ é", "v": "1"}');
SELECT old.entry('2024-03-05', 'INSERT', 'parted_1', '{"id": 3, "v": "p"}');
-- a table that is gone, one that is not tracked, one with a key of 3,000 bytes
SELECT old.entry('2024-03-06', 'INSERT', 'gone', '{"id": 1, "v": "g"}');
SELECT old.entry('2024-03-06', 'INSERT', 'untracked', '{"id": 1}');
SELECT old.entry('2024-03-07', 'INSERT', 'long_key', jsonb_build_object('k', repeat('ü', 1500)));
-- what cannot be taken over
SELECT old.entry(NULL, 'INSERT', 'members', '{"id": 9}');
SELECT old.entry('infinity', 'INSERT', 'members', '{"id": 9}');
SELECT old.entry('2999-01-01', 'INSERT', 'members', '{"id": 9}');
SELECT old.entry('2024-03-08', 'VACUUM', 'members', '{"id": 9}');
RESET ROLE;
SELECT t.mark();
SET LOCAL ROLE regress_owner;
INSERT INTO old.members VALUES (1, 'a', 'new', 'LEAK', 'LEAK', NULL);
INSERT INTO old.long_key VALUES (repeat('ü', 1500));
SELECT * FROM audit.import_history('old.record_version', format => 'supa_audit', since => '2024-03-05');
SELECT * FROM audit.import_history('old.record_version', 'supa_audit');
SELECT * FROM audit.import_history('old.record_version', 'supa_audit');
RESET ROLE;
SELECT logged_at, operation, table_name, CASE WHEN length(record_id) > 40 THEN left(record_id,
    16) ELSE record_id END AS
    record_id, old_record_id, changed_fields, old_record, CASE WHEN table_name <> 'long_key' THEN
        new_record END AS new_record
    FROM audit.audit_log WHERE context ? 'imported_from' AND table_schema = 'old' ORDER BY id;
SELECT DISTINCT transaction_id = pg_current_xact_id()::text::bigint AS ours, actor_id, actor_source,
    actor_role,
    login_role, outcome, (table_name = 'members') = phi_accessed AS phi, context - 'original_id'
        AS context, salt IS NOT NULL AS salted
    FROM audit.audit_log WHERE context ? 'imported_from' ORDER BY context - 'original_id';
SELECT count(*) AS original_ids FROM audit.audit_log l JOIN old.record_version o ON l.context ->>
    'original_id' = o.id::text
    WHERE l.logged_at = o.ts;
-- nothing that is hidden now came in
SELECT count(*) AS leaks FROM audit.audit_log l WHERE l::text LIKE '%LEAK%';
-- the same key, old and new: one history, in the order of time
SELECT logged_at < '2024-04-01' AS old, operation, record_id, tenant_id, new_values ->> 'name' AS name
    FROM audit.record_history('old.members', 1);
SELECT count(*) FROM audit.record_history('old.long_key', repeat('ü', 1500));
SELECT operation, record_id FROM audit.record_history('old."Ünï ""q"" t"', '["x \"y\" \\ é", 7]');
SELECT operation, context -> 'partition' AS partition FROM audit.record_history('old.parted', 3);
-- months were made back to the first row, the past begins before them
SELECT l.tableoid::regclass::text AS leaf, count(*) FROM audit.audit_log l WHERE context ? 'imported_from'
    GROUP BY 1 ORDER BY 1;
SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'audit_log_past';
SELECT count(*) AS missing FROM audit._missing_leaves('audit.audit_log');
SELECT check_name, ok FROM audit.health() WHERE check_name = 'partitions';
-- one event per table, and numbers that nobody else has
SELECT object, detail - 'covers_until' AS detail FROM audit.guard_events WHERE kind = 'history_imported'
    ORDER BY id;
INSERT INTO old.members VALUES (5);
SELECT count(*) = count(DISTINCT id) AS ids_differ FROM audit.audit_log;
-- an older row: its months are made, too; a row in the past leaf stays where it is, and so does what joins it
SET LOCAL ROLE regress_owner;
SELECT old.entry('2023-12-31 23:59:59+00', 'INSERT', 'members', '{"id": 8}');
SELECT rows_imported FROM audit.import_history('old.record_version', 'supa_audit');
RESET ROLE;
SELECT audit.begin_restore('a row of long ago');
INSERT INTO audit.audit_log (logged_at, transaction_id, operation, table_schema, table_name, actor_role,
    login_role, record_id, new_record)
    VALUES ('1969-01-01', 1, 'INSERT', 'old', 'members', 'r', 'r', '8', '{}');
SET LOCAL ROLE regress_owner;
SELECT old.entry('2023-10-01', 'INSERT', 'members', '{"id": 8}');
SELECT rows_imported FROM audit.import_history('old.record_version', 'supa_audit');
RESET ROLE;
SELECT logged_at, tableoid::regclass FROM audit.audit_log WHERE record_id = '8' AND table_schema = 'old'
    ORDER BY 1;
-- the column op goes with the extension whose type it has: the images say the same
SET LOCAL ROLE regress_owner;
CREATE TABLE old.copied AS SELECT id + 1000 AS id, record_id, ts, table_schema, table_name, record,
    old_record
    FROM old.record_version WHERE ts >= '2024-01-01' AND ts < '2024-03-05';
SELECT rows_read, rows_imported, rows_skipped FROM audit.import_history('old.copied', 'supa_audit');
RESET ROLE;
SELECT operation, count(*) FROM audit.audit_log WHERE (context ->> 'original_id')::integer > 1000
    GROUP BY 1 ORDER BY 1;
-- what tracking once hid stays out under its former name, and under a former name of the table
SET LOCAL ROLE regress_owner;
CREATE TABLE old.renamed (id integer PRIMARY KEY, secret text);
SELECT audit.enable_tracking('old.renamed', exclude => '{secret}');
SELECT old.entry('2024-05-01', 'INSERT', 'renamed', '{"id": 1, "secret": "LEAK"}');
ALTER TABLE old.renamed RENAME secret TO token;
SELECT old.entry('2024-05-02', 'INSERT', 'renamed', '{"id": 1, "token": "LEAK"}');
SELECT rows_imported FROM audit.import_history('old.record_version', 'supa_audit', since => '2024-05-01');
ALTER TABLE old.renamed RENAME TO present;
SELECT old.entry('2024-05-03', 'INSERT', 'renamed', '{"id": 1, "token": "LEAK", "secret": "LEAK"}');
UPDATE old.record_version SET table_oid = 'old.present'::regclass WHERE ts = '2024-05-03';
SELECT rows_imported, note FROM audit.import_history('old.record_version', 'supa_audit',
    since => '2024-05-03');
RESET ROLE;
SELECT table_name, new_record FROM audit.audit_log WHERE table_schema = 'old'
    AND logged_at >= '2024-05-01' AND
    logged_at < '2024-06-01' ORDER BY id;
SELECT count(*) AS leaks FROM audit.audit_log l WHERE l::text LIKE '%LEAK%';
ROLLBACK;
