-- Purpose: the log of row changes, and the view through which people read it.
-- Who may call: audit_reader reads; only the capture trigger, inside the server, writes.
-- Relies on: 10_types.sql. Months are added by 40_partitions.sql, guarding triggers by 30_guard.sql.

-- A backend takes 32 numbers at a time and hands them out itself.
CREATE SEQUENCE audit.audit_log_id_seq AS bigint INCREMENT BY 32;
COMMENT ON SEQUENCE audit.audit_log_id_seq IS
    'numbers the rows of audit_log; each value stands for itself and the next 31';

-- The parent has no key and no index on purpose: its partitions carry their own and travel in dumps as
-- ordinary tables, which an index on the parent would break. Text is compared byte by byte (COLLATE "C"):
-- names and keys have no language, and such indexes survive a change of the operating system's collations.
CREATE TABLE audit.audit_log (
    id bigint NOT NULL DEFAULT nextval('audit.audit_log_id_seq'),
    logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction_id bigint NOT NULL,
    operation audit.operation NOT NULL,
    table_schema text COLLATE "C" NOT NULL,
    table_name text COLLATE "C" NOT NULL,
    record_id text COLLATE "C",
    old_record_id text COLLATE "C",
    old_record jsonb,
    new_record jsonb,
    changed_fields text[] COLLATE "C",
    actor_id text COLLATE "C",
    actor_source text COLLATE "C",
    actor_role text COLLATE "C" NOT NULL,
    login_role text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C",
    session_id uuid,
    client_ip inet,
    application_name text COLLATE "C",
    phi_accessed boolean NOT NULL DEFAULT false,
    outcome text COLLATE "C" NOT NULL DEFAULT 'success',
    context jsonb,
    salt uuid DEFAULT gen_random_uuid(),
    redaction bytea,
    CONSTRAINT audit_log_actor_source CHECK (actor_source IN ('context', 'jwt')),
    CONSTRAINT audit_log_outcome CHECK (outcome IN ('success', 'failure', 'denied')),
    CONSTRAINT audit_log_time CHECK (isfinite(logged_at)),
    -- Redaction may take images away, and histories imported from other tools know less than we do.
    CONSTRAINT audit_log_images CHECK (
        redaction IS NOT NULL
        OR context ? 'imported_from'
        OR CASE operation
               WHEN 'INSERT' THEN old_record IS NULL AND new_record IS NOT NULL
               WHEN 'UPDATE' THEN old_record IS NOT NULL AND new_record IS NOT NULL
               WHEN 'DELETE' THEN old_record IS NOT NULL AND new_record IS NULL
               WHEN 'TRUNCATE' THEN new_record IS NULL
           END),
    CONSTRAINT audit_log_update_only CHECK (
        operation = 'UPDATE' OR (changed_fields IS NULL AND old_record_id IS NULL))
) PARTITION BY RANGE (logged_at);

COMMENT ON TABLE audit.audit_log IS
    'every change of every tracked table; append-only, in one partition per month';
COMMENT ON COLUMN audit.audit_log.id IS
    'number of the entry; ascending within a transaction, in blocks across sessions';
COMMENT ON COLUMN audit.audit_log.logged_at IS
    'clock time at which the change happened, which is not the time of its commit';
COMMENT ON COLUMN audit.audit_log.transaction_id IS 'the transaction that made the change (64 bit)';
COMMENT ON COLUMN audit.audit_log.operation IS 'INSERT, UPDATE, DELETE or TRUNCATE';
COMMENT ON COLUMN audit.audit_log.table_schema IS 'schema of the tracked table at the time of the change';
COMMENT ON COLUMN audit.audit_log.table_name IS 'name of the tracked table at the time of the change';
COMMENT ON COLUMN audit.audit_log.record_id IS
    'key of the row as text, a JSON array when it has several columns, null when the table has no key';
COMMENT ON COLUMN audit.audit_log.old_record_id IS 'key before an UPDATE that changed it, else null';
COMMENT ON COLUMN audit.audit_log.old_record IS
    'the row before the change, or what of it the level of detail keeps; masked columns are null, excluded ones '
    'absent';
COMMENT ON COLUMN audit.audit_log.new_record IS
    'the row after the change, or what of it the level of detail keeps; masked columns are null, excluded ones '
    'absent';
COMMENT ON COLUMN audit.audit_log.changed_fields IS
    'columns that an UPDATE changed, in table order; null otherwise';
COMMENT ON COLUMN audit.audit_log.actor_id IS 'the acting person, as declared or as in the JWT; never proof';
COMMENT ON COLUMN audit.audit_log.actor_source IS 'where actor_id comes from: context or jwt';
COMMENT ON COLUMN audit.audit_log.actor_role IS 'the role in force; a definer function does not hide it';
COMMENT ON COLUMN audit.audit_log.login_role IS 'the role that logged in';
COMMENT ON COLUMN audit.audit_log.tenant_id IS 'the tenant column of the row, else the declared tenant';
COMMENT ON COLUMN audit.audit_log.session_id IS 'the session of the application';
COMMENT ON COLUMN audit.audit_log.client_ip IS 'the address of the person, else of the connection';
COMMENT ON COLUMN audit.audit_log.application_name IS 'application_name of the connection';
COMMENT ON COLUMN audit.audit_log.phi_accessed IS
    'protected health information: set for the table or declared';
COMMENT ON COLUMN audit.audit_log.outcome IS 'success, failure or denied';
COMMENT ON COLUMN audit.audit_log.context IS
    'further facts about the request; the application''s own under "app"';
COMMENT ON COLUMN audit.audit_log.salt IS 'random, so that a commitment to this row cannot be guessed';
COMMENT ON COLUMN audit.audit_log.redaction IS 'what remains provable of values that were erased';
COMMENT ON CONSTRAINT audit_log_actor_source ON audit.audit_log IS 'where an actor can come from';
COMMENT ON CONSTRAINT audit_log_outcome ON audit.audit_log IS 'the outcomes there are';
COMMENT ON CONSTRAINT audit_log_time ON audit.audit_log IS 'infinity belongs to no month';
COMMENT ON CONSTRAINT audit_log_images ON audit.audit_log IS 'which of the two images each operation has';
COMMENT ON CONSTRAINT audit_log_update_only ON audit.audit_log IS 'what only an UPDATE can have';

ALTER TABLE audit.audit_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON audit.audit_log FOR SELECT TO audit_reader USING (true);
COMMENT ON POLICY readers ON audit.audit_log IS
    'members of audit_reader see everything, nobody else anything';

-- The view runs with the rights of the person who reads it, so the policy above decides for it as well.
CREATE VIEW audit.changes WITH (security_invoker = true) AS
SELECT l.id,
       l.logged_at,
       l.operation,
       l.table_schema,
       l.table_name,
       l.record_id,
       l.changed_fields,
       CASE WHEN l.operation = 'UPDATE' AND l.changed_fields IS NOT NULL
            THEN (SELECT jsonb_object_agg(f.name, l.old_record -> f.name)
                  FROM unnest(l.changed_fields) f(name) WHERE l.old_record ? f.name)
            ELSE l.old_record END AS old_values,
       CASE WHEN l.operation = 'UPDATE' AND l.changed_fields IS NOT NULL
            THEN (SELECT jsonb_object_agg(f.name, l.new_record -> f.name)
                  FROM unnest(l.changed_fields) f(name) WHERE l.new_record ? f.name)
            ELSE l.new_record END AS new_values,
       l.actor_id,
       l.actor_source,
       l.login_role,
       l.actor_role,
       l.tenant_id,
       l.session_id,
       l.client_ip,
       l.application_name,
       l.transaction_id,
       l.context
FROM audit.audit_log l;

COMMENT ON VIEW audit.changes IS 'audit_log for people: an UPDATE shows only the fields that changed';
COMMENT ON COLUMN audit.changes.id IS 'number of the entry';
COMMENT ON COLUMN audit.changes.logged_at IS
    'clock time at which the change happened, which is not the time of its commit';
COMMENT ON COLUMN audit.changes.operation IS 'INSERT, UPDATE, DELETE or TRUNCATE';
COMMENT ON COLUMN audit.changes.table_schema IS 'schema of the table at the time of the change';
COMMENT ON COLUMN audit.changes.table_name IS 'name of the table at the time of the change';
COMMENT ON COLUMN audit.changes.record_id IS
    'key of the row as text, a JSON array when it has several columns, null when the table has no key';
COMMENT ON COLUMN audit.changes.changed_fields IS 'columns that an UPDATE changed';
COMMENT ON COLUMN audit.changes.old_values IS
    'values before: the changed fields of an UPDATE, the whole row of a DELETE';
COMMENT ON COLUMN audit.changes.new_values IS
    'values after: the changed fields of an UPDATE, the whole row of an INSERT';
COMMENT ON COLUMN audit.changes.actor_id IS 'the acting person, as declared or as in the JWT; never proof';
COMMENT ON COLUMN audit.changes.actor_source IS 'where actor_id comes from: context or jwt';
COMMENT ON COLUMN audit.changes.login_role IS 'the role that logged in';
COMMENT ON COLUMN audit.changes.actor_role IS 'the role in force';
COMMENT ON COLUMN audit.changes.tenant_id IS 'the tenant column of the row, else the declared tenant';
COMMENT ON COLUMN audit.changes.session_id IS 'the session of the application';
COMMENT ON COLUMN audit.changes.client_ip IS 'the address of the person, else of the connection';
COMMENT ON COLUMN audit.changes.application_name IS 'application_name of the connection';
COMMENT ON COLUMN audit.changes.transaction_id IS 'the transaction that made the change';
COMMENT ON COLUMN audit.changes.context IS
    'further facts about the request; the application''s own under "app"';
