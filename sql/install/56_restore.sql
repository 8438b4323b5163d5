-- Purpose: marks what a restore loads.
-- Who may call: audit_admin.
-- Relies on: 21_guard_events.sql.

-- Definer for the event only: the mark belongs to the transaction of whoever calls.
CREATE FUNCTION audit.begin_restore(reason text) RETURNS void
LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'begin_restore_wrapper';
COMMENT ON FUNCTION audit.begin_restore(text) IS
    'marks the changes in the rest of the transaction as loaded by a restore (context.restore); call it after '
    'BEGIN; the reason is kept in guard_events';
