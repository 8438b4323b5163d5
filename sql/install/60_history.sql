-- Purpose: answers what happened to a record and in a transaction.
-- Who may call: audit_reader (everybody may ask for the version).
-- Relies on: 20_audit_log.sql, 45_tracking_rules.sql.

CREATE FUNCTION audit.version() RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'version_wrapper';
COMMENT ON FUNCTION audit.version() IS 'the version of the loaded library';

CREATE FUNCTION audit._record_key(target regclass, record_id text) RETURNS text
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'record_key_wrapper';
COMMENT ON FUNCTION audit._record_key(regclass, text) IS
    'internal: a key as a user writes it, turned into the text that the log holds';

-- Two branches, so that each can use its own index. One plan for all calls of a session, made for leaves that
-- will be large even while they are small: a scan of a whole leaf is never right here. max_rows keeps the
-- latest rows, but they are shown in the order in which they happened.
CREATE FUNCTION audit.record_history(target regclass, record_id text, max_rows integer DEFAULT NULL)
RETURNS SETOF audit.changes
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $body$
DECLARE
    tracked_as regclass;
    schema_wanted text;
    table_wanted text;
    key_wanted text;
BEGIN
    IF target IS NULL OR record_id IS NULL THEN
        RAISE EXCEPTION 'target and record_id must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT * FROM audit.record_history(''schema_name.table_name'', ''key'');';
    ELSIF max_rows < 0 THEN
        RAISE EXCEPTION 'max_rows must not be negative'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT * FROM audit.record_history(%L, ''key'', max_rows => 100);',
                                target::text);
    END IF;
    tracked_as := audit._tracked_as(target);
    SELECT n.nspname, c.relname INTO schema_wanted, table_wanted
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = coalesce(tracked_as, target);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'relation with OID % does not exist', target::oid
            USING ERRCODE = 'undefined_table', HINT = 'SELECT * FROM audit.tracked_tables;';
    END IF;

    IF tracked_as IS NOT NULL OR audit._key_columns(target) <> '{}' THEN
        key_wanted := audit._record_key(coalesce(tracked_as, target), record_id);
        RETURN QUERY
            SELECT r.id, r.logged_at, r.operation, r.table_schema, r.table_name, r.record_id,
                   r.changed_fields,
                   CASE WHEN r.operation = 'UPDATE' AND r.changed_fields IS NOT NULL
                        THEN (SELECT jsonb_object_agg(f.name, r.old_record -> f.name)
                              FROM unnest(r.changed_fields) f(name) WHERE r.old_record ? f.name)
                        ELSE r.old_record END,
                   CASE WHEN r.operation = 'UPDATE' AND r.changed_fields IS NOT NULL
                        THEN (SELECT jsonb_object_agg(f.name, r.new_record -> f.name)
                              FROM unnest(r.changed_fields) f(name) WHERE r.new_record ? f.name)
                        ELSE r.new_record END,
                   r.actor_id, r.actor_source, r.login_role, r.actor_role, r.tenant_id, r.session_id,
                   r.client_ip, r.application_name, r.transaction_id, r.context
            FROM (SELECT l.* FROM audit.audit_log l
                  WHERE l.record_id = key_wanted AND l.table_name = table_wanted
                    AND l.table_schema = schema_wanted
                  UNION ALL
                  SELECT l.* FROM audit.audit_log l
                  WHERE l.old_record_id = key_wanted AND l.table_name = table_wanted
                    AND l.table_schema = schema_wanted AND l.record_id IS DISTINCT FROM key_wanted
                  ORDER BY logged_at DESC, id DESC
                  LIMIT max_rows) r
            ORDER BY r.logged_at, r.id;
        IF FOUND OR max_rows = 0 THEN
            RETURN;
        END IF;
    END IF;
    IF tracked_as IS NULL THEN
        RAISE EXCEPTION '% is not tracked', target
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.enable_tracking(%L);', target::text);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit.record_history(regclass, text, integer) IS
    'everything that happened to one record, in order; a key of several columns is a JSON array: ''[7,3]''';

-- The settings are those under which the log writes values as text.
CREATE FUNCTION audit.record_history(target regclass, record_id anyelement, max_rows integer DEFAULT NULL)
RETURNS SETOF audit.changes
LANGUAGE sql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
SET intervalstyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
AS $body$
    SELECT h.* FROM audit.record_history(target, record_id::text, max_rows) h
$body$;
COMMENT ON FUNCTION audit.record_history(regclass, anyelement, integer) IS 'the same for a key of any type';

CREATE FUNCTION audit.transaction_changes(transaction_id bigint) RETURNS SETOF audit.changes
LANGUAGE sql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT c.* FROM audit.changes c WHERE c.transaction_id = transaction_changes.transaction_id ORDER BY c.id
$body$;
COMMENT ON FUNCTION audit.transaction_changes(bigint) IS
    'everything one transaction changed, in the order of the changes';
