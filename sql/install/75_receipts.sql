-- Purpose: what one row is worth as evidence: why it does not match, and what somebody else can check.
-- Who may call: audit_reader; everybody verifies a receipt.
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

CREATE FUNCTION audit.proof(stream text, id text) RETURNS text
LANGUAGE c STABLE SECURITY INVOKER
AS 'MODULE_PATHNAME', 'proof_wrapper';
COMMENT ON FUNCTION audit.proof(text, text) IS
    'the proof that a row is in the newest signed tree that has it, in the form of C2SP tlog-proof';

CREATE FUNCTION audit.proof(stream text, id anyelement) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT audit.proof(stream, id::text)
$body$;
COMMENT ON FUNCTION audit.proof(text, anyelement) IS 'the same, for numbers without a cast';

CREATE FUNCTION audit.receipt(stream text, id text, disclose text[] DEFAULT NULL) RETURNS jsonb
LANGUAGE c STABLE SECURITY INVOKER
AS 'MODULE_PATHNAME', 'receipt_wrapper';
COMMENT ON FUNCTION audit.receipt(text, text, text[]) IS
    'a document that proves, without this database, that a row was sealed as it is; it discloses some columns, or '
    'all that are still there';

CREATE FUNCTION audit.receipt(stream text, id anyelement, disclose text[] DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT audit.receipt(stream, id::text, disclose)
$body$;
COMMENT ON FUNCTION audit.receipt(text, anyelement, text[]) IS 'the same, for numbers without a cast';

CREATE FUNCTION audit._verify_receipt(receipt jsonb, checkpoint text) RETURNS SETOF audit.verdict
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 1
AS 'MODULE_PATHNAME', 'verify_receipt_wrapper';
COMMENT ON FUNCTION audit._verify_receipt(jsonb, text) IS
    'internal: what a receipt shows, held against a checkpoint';

CREATE FUNCTION audit.verify_receipt(receipt jsonb, checkpoint text DEFAULT NULL) RETURNS audit.verdict
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT v FROM audit._verify_receipt(receipt, checkpoint) v
$body$;
COMMENT ON FUNCTION audit.verify_receipt(jsonb, text) IS
    'whether a receipt is intact, and whether it belongs to a checkpoint that was kept elsewhere; whose signature '
    'counts is decided outside of the database: audit-guard receipt verify';
