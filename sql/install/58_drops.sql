-- Purpose: notices that a tracked table, its trigger, or a partition of it was dropped.
-- Who may call: nobody; an event trigger runs it.
-- Relies on: 45_tracking_rules.sql, 21_guard_events.sql.

-- What is dropped takes its rows along without a row in the log, and a trigger that is gone records nothing:
-- reading the past must know from when on it knows no more. Triggers go with their table and their own names,
-- and a partition's has the name of that of the table above. Where several tables have a trigger of that
-- name, one too many is taken to have lost rows, never one too few.
CREATE FUNCTION audit._on_drop() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    dropped record;
BEGIN
    FOR dropped IN
        SELECT r.root::text AS object, 'partition_detached' AS kind,
               jsonb_build_object('partition', d.object, 'dropped', true) AS detail
        FROM audit._dropped_triggers() d
        JOIN (SELECT t.tgname, t.tgrelid::regclass AS root FROM pg_trigger t
              JOIN pg_class c ON c.oid = t.tgrelid AND c.relkind = 'p'
              WHERE t.tgfoid = 'audit.log_changes()'::regprocedure AND t.tgparentid = 0 AND t.tgtype & 1 = 1
             ) r ON r.tgname = ANY (d.names)
        WHERE d.relation IS NULL
        UNION ALL
        SELECT d.object, 'tracking_suspended',
               jsonb_build_object('dropped', CASE WHEN d.relation IS NULL THEN 'table' ELSE 'trigger' END)
        FROM audit._dropped_triggers() d
        CROSS JOIN LATERAL (
            SELECT e.kind FROM audit.guard_events e
            WHERE e.object = d.object
              AND e.kind IN ('tracking_enabled', 'tracking_disabled', 'table_renamed', 'tracking_suspended',
                             'tracking_resumed')
            ORDER BY e.id DESC LIMIT 1) latest
        WHERE latest.kind NOT IN ('tracking_disabled', 'tracking_suspended')
          AND NOT EXISTS (SELECT FROM audit._own_triggers(d.relation) t WHERE t.is_row AND NOT t.is_clone)
    LOOP
        PERFORM audit._record_event(dropped.kind, dropped.object, NULL, dropped.detail);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._on_drop() IS
    'event trigger: records that what is tracked, or a partition of it, was dropped';

CREATE FUNCTION audit._dropped_triggers() RETURNS TABLE (object text, relation regclass, names text[])
LANGUAGE sql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('%I.%I', d.address_names[1], d.address_names[2]), c.oid::regclass,
           array_agg(d.address_names[3])
    FROM pg_event_trigger_dropped_objects() d
    LEFT JOIN pg_namespace n ON n.nspname = d.address_names[1]
    LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = d.address_names[2]
    WHERE d.object_type = 'trigger' AND NOT d.is_temporary
    GROUP BY 1, 2
$body$;
COMMENT ON FUNCTION audit._dropped_triggers() IS
    'internal: the tables whose triggers the present statement dropped; relation is null when they went along';

CREATE EVENT TRIGGER audit_guard_drop ON sql_drop
    WHEN TAG IN ('DROP TABLE', 'DROP TRIGGER', 'DROP SCHEMA', 'DROP OWNED', 'DROP FOREIGN TABLE', 'DROP TYPE',
                 'DROP SERVER', 'DROP FOREIGN DATA WRAPPER')
    EXECUTE FUNCTION audit._on_drop();
ALTER EVENT TRIGGER audit_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER audit_guard_drop IS
    'audit_guard: notices that a tracked table, its trigger, or a partition of it was dropped';
