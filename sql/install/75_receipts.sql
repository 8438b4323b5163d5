-- Purpose: what one row is worth as evidence: why it does not match, and what somebody else can check.
-- Who may call: audit_reader.
-- Relies on: 67_ledger_tables.sql; the library does the work.

CREATE FUNCTION audit.explain_row(stream text, id text) RETURNS SETOF audit.leaf_field
LANGUAGE c STABLE SECURITY INVOKER
AS 'MODULE_PATHNAME', 'explain_row_wrapper';
COMMENT ON FUNCTION audit.explain_row(text, text) IS
    'the commitments of one sealed row, and which of its values does not match any more';

CREATE FUNCTION audit.explain_row(stream text, id anyelement) RETURNS SETOF audit.leaf_field
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT f.* FROM audit.explain_row(stream, id::text) f
$body$;
COMMENT ON FUNCTION audit.explain_row(text, anyelement) IS 'the same, for numbers without a cast';
