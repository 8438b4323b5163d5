-- Purpose: what the library does for the ledger: seals, looks into seals, hashes rows and trees, reads notes.
-- Who may call: audit_admin seals; everybody waits and asks for consistency; the rest is internal.
-- Relies on: 67_ledger_tables.sql, 68_ledger_streams.sql, 69_incarnations.sql.

CREATE FUNCTION audit.seal() RETURNS bigint
LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seal_wrapper';
COMMENT ON FUNCTION audit.seal() IS
    'seals the rows of all transactions that have ended, up to a million rows per call, and returns the number of '
    'leaves; the worker of the preloaded library does the same by itself';

CREATE FUNCTION audit._seal_chunk() RETURNS text
LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seal_chunk_wrapper';
COMMENT ON FUNCTION audit._seal_chunk() IS
    'internal: one step of sealing for the worker: idle, more, or done and how many rows';

CREATE FUNCTION audit._seal_heartbeat() RETURNS text
LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seal_heartbeat_wrapper';
COMMENT ON FUNCTION audit._seal_heartbeat() IS
    'internal: the same, and a seal without rows when there are none';

CREATE FUNCTION audit._entries(seal_no bigint)
RETURNS TABLE (stream_no smallint, transaction_id bigint, number bigint, leaf_index bigint)
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1000
AS 'MODULE_PATHNAME', 'entries_wrapper';
COMMENT ON FUNCTION audit._entries(bigint) IS 'internal: which row is which leaf, in one seal';

CREATE FUNCTION audit._verify_slice(
    first_seal bigint, last_seal bigint, stream text, since timestamptz, until timestamptz)
RETURNS SETOF audit.verdict
LANGUAGE c STABLE PARALLEL SAFE COST 10000000 ROWS 10
AS 'MODULE_PATHNAME', 'verify_slice_wrapper';
COMMENT ON FUNCTION audit._verify_slice(bigint, bigint, text, timestamptz, timestamptz) IS
    'internal: derives the leaves of some seals again and says what differs, what was erased and what is gone';
