-- Purpose: the triggers that refuse UPDATE, DELETE and TRUNCATE on the streams.
-- Who may call: trigger functions, which anybody may attach to an append-only table; the rest is internal.
-- Relies on: 20_audit_log.sql, 21_guard_events.sql; leaves get their statement trigger in 40_partitions.sql.

CREATE FUNCTION audit.prevent_modification() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'audit_prevent_modification';
COMMENT ON FUNCTION audit.prevent_modification() IS
    'trigger: refuses UPDATE, DELETE and TRUNCATE with SQLSTATE 23001; makes any table append-only';

CREATE FUNCTION audit.prevent_audit_modification() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'audit_prevent_modification';
COMMENT ON FUNCTION audit.prevent_audit_modification() IS 'trigger: the same as audit.prevent_modification()';

-- The statement trigger refuses also what touches no row, and rows that are not written by functions of ours;
-- the row trigger is cloned to every partition and so covers a statement that names a partition instead of the
-- log. ALWAYS: replica mode does not switch them off.
CREATE FUNCTION audit._make_append_only(target regclass) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER immutable_row BEFORE UPDATE OR DELETE ON %s '
        'FOR EACH ROW EXECUTE FUNCTION audit.prevent_modification()', target);
    EXECUTE format(
        'CREATE TRIGGER immutable_statement BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION audit.prevent_modification()', target);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER immutable_row', target);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER immutable_statement', target);
    EXECUTE format('COMMENT ON TRIGGER immutable_row ON %s IS %L', target,
                   'refuses to change or remove a row, whichever partition holds it');
    EXECUTE format('COMMENT ON TRIGGER immutable_statement ON %s IS %L', target,
                   'refuses UPDATE, DELETE and TRUNCATE, even of no row, and rows that others write');
END
$body$;
COMMENT ON FUNCTION audit._make_append_only(regclass) IS 'internal: makes a table of ours append-only';

SELECT audit._make_append_only(s.stream)
FROM unnest('{audit.audit_log, audit.guard_events, audit.guard_policies, audit.holds, audit.hold_releases,
              audit.denied_attempts}'::regclass[]) s(stream);
