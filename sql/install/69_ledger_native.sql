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

CREATE FUNCTION audit._tree_root(size bigint) RETURNS bytea
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tree_root_wrapper';
COMMENT ON FUNCTION audit._tree_root(bigint) IS
    'internal: the hash of the tree of the first leaves, from the hashes that are stored; null when there are not '
    'as many';

CREATE FUNCTION audit._inclusion_path(leaf_index bigint, size bigint) RETURNS bytea[]
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'inclusion_path_wrapper';
COMMENT ON FUNCTION audit._inclusion_path(bigint, bigint) IS
    'internal: the hashes that lead from a leaf to the root of the tree of one size; null when there is none';

CREATE FUNCTION audit.consistency(from_size bigint, to_size bigint) RETURNS text
LANGUAGE c STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'consistency_wrapper';
COMMENT ON FUNCTION audit.consistency(bigint, bigint) IS
    'the proof that the tree of one size is the beginning of the tree of another: one hash in base64 per line, as '
    'RFC 9162 orders them';

CREATE FUNCTION audit._open_note(note text, keys text[])
RETURNS TABLE (origin text, size bigint, root bytea, key_name text, is_signed boolean)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'open_note_wrapper';
COMMENT ON FUNCTION audit._open_note(text, text[]) IS
    'internal: what a checkpoint says, and whether one of these public keys signed it';

CREATE FUNCTION audit._locate(stream text, number bigint)
RETURNS TABLE (seal_no bigint, leaf_index bigint, schema_no integer)
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'locate_wrapper';
COMMENT ON FUNCTION audit._locate(text, bigint) IS
    'internal: where a row is sealed; no row when it is in no seal, or not there';
