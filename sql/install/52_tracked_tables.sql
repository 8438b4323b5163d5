-- Purpose: shows which tables are tracked, with which options, and whether that is fully in force.
-- Who may call: audit_reader and audit_admin.
-- Relies on: 45_tracking_rules.sql, 21_guard_events.sql.

-- Runs with its owner's rights: the reader needs no right on guard_events. Clones on partitions are not
-- listed, they are judged together with the table they come from.
CREATE VIEW audit.tracked_tables AS
SELECT n.nspname::text AS table_schema,
       c.relname::text AS table_name,
       c.oid::regclass AS target,
       ARRAY(SELECT jsonb_array_elements_text(s.state -> 'exclude')) AS exclude,
       ARRAY(SELECT jsonb_array_elements_text(s.state -> 'mask')) AS mask,
       s.state ->> 'tenant_column' AS tenant_column,
       s.state ->> 'detail' AS detail,
       (s.state ->> 'log_truncated_rows')::boolean AS log_truncated_rows,
       (s.state ->> 'phi')::boolean AS phi,
       t.tgenabled <> 'D' AS is_enabled,
       CASE
           WHEN t.tgenabled = 'D' THEN 'disabled'
           WHEN (s.state ->> 'degraded')::boolean THEN 'degraded'
           WHEN EXISTS (SELECT FROM pg_trigger other
                        WHERE other.tgfoid = t.tgfoid AND other.tgenabled <> 'A'
                          AND other.tgrelid IN (SELECT c.oid UNION SELECT p.relid FROM pg_partition_tree(c.oid) p))
               THEN 'not always'
           -- Attached by hand for some operations or rows only, or BEFORE the change.
           WHEN t.tgtype & 30 <> 28 OR t.tgqual IS NOT NULL OR t.tgattr <> '' THEN 'partial'
           WHEN EXISTS (SELECT FROM pg_trigger other
                        WHERE other.tgrelid = c.oid AND other.tgfoid = t.tgfoid AND other.oid <> t.oid
                          AND other.tgtype & 1 = 1 AND other.tgtype & t.tgtype & 28 <> 0)
               THEN 'logged twice'
           WHEN EXISTS (SELECT FROM audit._truncatable(c.oid) r(relid)
                        WHERE NOT EXISTS (SELECT FROM pg_trigger other
                                          WHERE other.tgrelid = r.relid AND other.tgfoid = t.tgfoid
                                            AND other.tgtype & 33 = 32))
               THEN 'truncate not logged'
           ELSE 'ok'
       END AS status,
       (SELECT max(CASE e.kind WHEN 'tracking_enabled' THEN e.logged_at
                               ELSE (e.detail ->> 'since')::timestamptz END)
        FROM audit.guard_events e
        WHERE e.kind IN ('tracking_enabled', 'table_renamed')
          AND e.object = format('%I.%I', n.nspname, c.relname)) AS since
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL audit._tracking_state(t.oid) s(state)
WHERE t.tgfoid = 'audit.log_changes()'::regprocedure
  AND t.tgparentid = 0
  AND t.tgtype & 1 = 1;

COMMENT ON VIEW audit.tracked_tables IS 'the tables whose changes are recorded, with their options';
COMMENT ON COLUMN audit.tracked_tables.table_schema IS 'schema of the table';
COMMENT ON COLUMN audit.tracked_tables.table_name IS 'name of the table';
COMMENT ON COLUMN audit.tracked_tables.target IS 'the table';
COMMENT ON COLUMN audit.tracked_tables.exclude IS 'columns that are not recorded at all';
COMMENT ON COLUMN audit.tracked_tables.mask IS 'columns recorded as null, named when they change';
COMMENT ON COLUMN audit.tracked_tables.tenant_column IS
    'the column that becomes tenant_id, null when there is none';
COMMENT ON COLUMN audit.tracked_tables.detail IS
    'what an UPDATE keeps: full (both rows), delta (of the old one only what changed), changed (of both)';
COMMENT ON COLUMN audit.tracked_tables.log_truncated_rows IS 'whether TRUNCATE records every row';
COMMENT ON COLUMN audit.tracked_tables.phi IS
    'whether each change counts as access to protected health information';
COMMENT ON COLUMN audit.tracked_tables.is_enabled IS
    'false when the trigger was disabled: nothing is recorded';
COMMENT ON COLUMN audit.tracked_tables.status IS
    'ok; degraded (an option names a column that is gone: all but the key is masked); disabled; not always '
    '(a trigger does not fire in replica mode); partial (only some changes); logged twice; truncate not '
    'logged';
COMMENT ON COLUMN audit.tracked_tables.since IS 'when tracking was last switched on';
