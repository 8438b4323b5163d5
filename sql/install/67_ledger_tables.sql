-- Purpose: the tables of the ledger: what is sealed, into which tree, and which keys sign its heads.
-- Who may call: audit_reader reads all of them; functions of ours write.
-- Relies on: 10_types.sql, 30_guard.sql.

CREATE TYPE audit.ledger_head AS (
    origin text,
    size bigint,
    root_hash text,
    sealed_at timestamptz,
    unsealed_rows bigint,
    signed_size bigint,
    signed_at timestamptz
);
COMMENT ON TYPE audit.ledger_head IS 'how far the ledger has come: what audit.tree_head() returns';
COMMENT ON COLUMN audit.ledger_head.origin IS 'name of the tree; null before anything was sealed';
COMMENT ON COLUMN audit.ledger_head.size IS 'leaves in the tree';
COMMENT ON COLUMN audit.ledger_head.root_hash IS 'hash of the whole tree, in base64, as checkpoints have it';
COMMENT ON COLUMN audit.ledger_head.sealed_at IS 'when something was sealed last';
COMMENT ON COLUMN audit.ledger_head.unsealed_rows IS
    'committed rows that are not sealed yet; counted up to one million per stream';
COMMENT ON COLUMN audit.ledger_head.signed_size IS
    'leaves covered by the largest checkpoint that a trusted key has signed; null: none';
COMMENT ON COLUMN audit.ledger_head.signed_at IS 'when that checkpoint was imported';

CREATE TYPE audit.verdict AS (
    code text,
    stream text,
    id text,
    leaf_index bigint,
    field text,
    detail text,
    rows_checked bigint
);
COMMENT ON TYPE audit.verdict IS 'one line of a verification; the first one sums up';
COMMENT ON COLUMN audit.verdict.code IS
    'ok, internally_consistent, or what is wrong: modified, missing, orphan, duplicate, tree_mismatch, seal_gap, '
    'bad_signature, rollback, fork, stale, unauthorised_redaction, premature_prune, unknown_schema, '
    'acknowledged_gap';
COMMENT ON COLUMN audit.verdict.stream IS 'the stream of the row; null in the first line';
COMMENT ON COLUMN audit.verdict.id IS 'number of the row in its stream';
COMMENT ON COLUMN audit.verdict.leaf_index IS 'place of the row in the tree, from 0';
COMMENT ON COLUMN audit.verdict.field IS 'the column, or column.key, that differs, as far as that is known';
COMMENT ON COLUMN audit.verdict.detail IS 'what was found, in words';
COMMENT ON COLUMN audit.verdict.rows_checked IS 'rows that were derived again; only in the first line';

CREATE TYPE audit.leaf_field AS (
    field text,
    stored_value text,
    commitment text,
    matches boolean
);
COMMENT ON TYPE audit.leaf_field IS 'one commitment of a sealed row: a line of audit.explain_row()';
COMMENT ON COLUMN audit.leaf_field.field IS
    'the column, or column.key, or * for all columns that are not erased one by one';
COMMENT ON COLUMN audit.leaf_field.stored_value IS 'the value that is stored now';
COMMENT ON COLUMN audit.leaf_field.commitment IS 'the commitment to the value, in hex';
COMMENT ON COLUMN audit.leaf_field.matches IS
    'whether the row with this value leads to the sealed leaf; null when that cannot be told';

-- Which tables are streams of the ledger. Numbers below 100 are ours.
CREATE TABLE audit.ledger_streams (
    stream_no smallint PRIMARY KEY,
    stream text COLLATE "C" NOT NULL UNIQUE,
    table_schema text COLLATE "C" NOT NULL,
    table_name text COLLATE "C" NOT NULL,
    number_column text COLLATE "C" NOT NULL,
    time_column text COLLATE "C" NOT NULL,
    erasable text[] COLLATE "C" NOT NULL DEFAULT '{}',
    is_builtin boolean NOT NULL
);
COMMENT ON TABLE audit.ledger_streams IS 'the append-only tables whose rows are sealed';
COMMENT ON COLUMN audit.ledger_streams.stream_no IS 'number of the stream, part of what is hashed';
COMMENT ON COLUMN audit.ledger_streams.stream IS 'name of the stream, as verify and receipt take it';
COMMENT ON COLUMN audit.ledger_streams.table_schema IS 'schema of its table';
COMMENT ON COLUMN audit.ledger_streams.table_name IS 'name of its table';
COMMENT ON COLUMN audit.ledger_streams.number_column IS 'the column that numbers its rows and never repeats';
COMMENT ON COLUMN audit.ledger_streams.time_column IS 'the column that says when a row was written';
COMMENT ON COLUMN audit.ledger_streams.erasable IS
    'columns that redact can erase one by one without breaking the proof of the others';
COMMENT ON COLUMN audit.ledger_streams.is_builtin IS 'whether it belongs to the extension';

CREATE TABLE audit.ledger_schemas (
    schema_no integer PRIMARY KEY,
    stream_no smallint NOT NULL,
    definition text NOT NULL,
    sha256 bytea NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (stream_no, sha256)
);
COMMENT ON TABLE audit.ledger_schemas IS
    'the columns of each stream at the time of sealing, as text whose hash is part of each leaf';
COMMENT ON COLUMN audit.ledger_schemas.schema_no IS 'number of the definition';
COMMENT ON COLUMN audit.ledger_schemas.stream_no IS 'the stream that it describes';
COMMENT ON COLUMN audit.ledger_schemas.definition IS 'the definition, in the words of the format';
COMMENT ON COLUMN audit.ledger_schemas.sha256 IS 'SHA-256 of the definition';
COMMENT ON COLUMN audit.ledger_schemas.registered_at IS 'when it was first needed';

-- Transaction numbers mean something only inside one database of one cluster.
CREATE TABLE audit.ledger_incarnations (
    incarnation integer PRIMARY KEY,
    origin text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    system_identifier bigint NOT NULL,
    database_oid bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text,
    first_seal bigint NOT NULL,
    start_snapshot pg_snapshot NOT NULL,
    floors jsonb NOT NULL DEFAULT '{}',
    transaction_id bigint NOT NULL,
    CONSTRAINT ledger_incarnations_kind CHECK (kind IN ('first', 'declared', 'upgraded'))
);
COMMENT ON TABLE audit.ledger_incarnations IS
    'the databases in which this ledger was sealed: after a restore or a copy, a new one begins by declaration';
COMMENT ON COLUMN audit.ledger_incarnations.incarnation IS 'number of the incarnation';
COMMENT ON COLUMN audit.ledger_incarnations.origin IS 'name of the tree from here on, as checkpoints have it';
COMMENT ON COLUMN audit.ledger_incarnations.kind IS
    'first, declared by declare_discontinuity, or upgraded by pg_upgrade';
COMMENT ON COLUMN audit.ledger_incarnations.system_identifier IS 'the cluster';
COMMENT ON COLUMN audit.ledger_incarnations.database_oid IS 'the database in that cluster';
COMMENT ON COLUMN audit.ledger_incarnations.started_at IS 'when it began';
COMMENT ON COLUMN audit.ledger_incarnations.reason IS 'why, in the words of the person who declared it';
COMMENT ON COLUMN audit.ledger_incarnations.first_seal IS 'its first seal, when there is one';
COMMENT ON COLUMN audit.ledger_incarnations.start_snapshot IS
    'transactions that had ended when it began; their rows belong to the time before';
COMMENT ON COLUMN audit.ledger_incarnations.floors IS
    'by number of the stream, the last row number of the time before';
COMMENT ON COLUMN audit.ledger_incarnations.transaction_id IS 'the transaction that began it (64 bit)';
COMMENT ON CONSTRAINT ledger_incarnations_kind ON audit.ledger_incarnations IS 'the ways to begin';

CREATE TABLE audit.seals (
    seal_no bigint PRIMARY KEY,
    incarnation integer NOT NULL,
    batch bigint NOT NULL,
    chunk integer NOT NULL,
    is_last boolean NOT NULL,
    kind smallint NOT NULL,
    prev_snapshot pg_snapshot NOT NULL,
    snapshot pg_snapshot NOT NULL,
    first_leaf bigint NOT NULL UNIQUE,
    leaves integer NOT NULL,
    oldest_at timestamptz,
    newest_at timestamptz,
    entries bytea NOT NULL,
    leaf_hashes bytea NOT NULL,
    hints bytea NOT NULL,
    size_after bigint NOT NULL UNIQUE,
    root_after bytea NOT NULL,
    frontier bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    transaction_id bigint NOT NULL,
    checkpoint_note text,
    UNIQUE (batch, chunk)
);
-- Hashes do not get smaller, and are read in parts.
ALTER TABLE audit.seals ALTER COLUMN leaf_hashes SET STORAGE EXTERNAL;
COMMENT ON TABLE audit.seals IS
    'the leaves of the tree: each seal adds the rows of the transactions that ended since the one before';
COMMENT ON COLUMN audit.seals.seal_no IS 'number of the seal, without gaps from 1';
COMMENT ON COLUMN audit.seals.incarnation IS 'the incarnation in which it was made';
COMMENT ON COLUMN audit.seals.batch IS 'the batch that it belongs to: one difference of two snapshots';
COMMENT ON COLUMN audit.seals.chunk IS 'which part of the batch it is, from 0';
COMMENT ON COLUMN audit.seals.is_last IS 'whether the batch ends with it';
COMMENT ON COLUMN audit.seals.kind IS
    '0: rows of the transactions between the snapshots; 1: rows that a declared discontinuity found unsealed';
COMMENT ON COLUMN audit.seals.prev_snapshot IS 'transactions that had ended before the batch';
COMMENT ON COLUMN audit.seals.snapshot IS 'transactions that have ended with it';
COMMENT ON COLUMN audit.seals.first_leaf IS 'index of its first leaf, which stands for the seal itself';
COMMENT ON COLUMN audit.seals.leaves IS 'leaves, the first included';
COMMENT ON COLUMN audit.seals.oldest_at IS 'time of its oldest row; null without rows';
COMMENT ON COLUMN audit.seals.newest_at IS 'time of its newest row; null without rows';
COMMENT ON COLUMN audit.seals.entries IS 'which row is which leaf, packed';
COMMENT ON COLUMN audit.seals.leaf_hashes IS 'hashes of its leaves, 32 bytes each';
COMMENT ON COLUMN audit.seals.hints IS
    'a byte per field and row, by which explain_row tells what differs; no evidence, and part of no hash';
COMMENT ON COLUMN audit.seals.size_after IS 'leaves in the tree with this seal';
COMMENT ON COLUMN audit.seals.root_after IS 'hash of the whole tree with this seal';
COMMENT ON COLUMN audit.seals.frontier IS 'hashes of the complete subtrees, from which the next seal goes on';
COMMENT ON COLUMN audit.seals.sealed_at IS 'when it was made';
COMMENT ON COLUMN audit.seals.transaction_id IS 'the transaction that made it (64 bit)';
COMMENT ON COLUMN audit.seals.checkpoint_note IS 'the last signed checkpoint that was known then';

CREATE TABLE audit.ledger_subtrees (
    level smallint NOT NULL,
    index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (level, index)
);
COMMENT ON TABLE audit.ledger_subtrees IS
    'hashes of complete subtrees of 256, 65,536 ... leaves: what proofs are made of';
COMMENT ON COLUMN audit.ledger_subtrees.level IS '1: 256 leaves, 2: 65,536 leaves, and so on';
COMMENT ON COLUMN audit.ledger_subtrees.index IS 'which subtree of its level, from 0';
COMMENT ON COLUMN audit.ledger_subtrees.hash IS 'hash of the subtree';

CREATE TABLE audit.ledger_unsealed (
    incarnation integer NOT NULL,
    stream_no smallint NOT NULL,
    transaction_id bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (incarnation, stream_no, transaction_id, number)
);
COMMENT ON TABLE audit.ledger_unsealed IS
    'rows that no seal had when a discontinuity was declared: the first batch after it seals exactly these';
COMMENT ON COLUMN audit.ledger_unsealed.incarnation IS 'the incarnation that seals them';
COMMENT ON COLUMN audit.ledger_unsealed.stream_no IS 'the stream of the row';
COMMENT ON COLUMN audit.ledger_unsealed.transaction_id IS 'the transaction number that the row carries';
COMMENT ON COLUMN audit.ledger_unsealed.number IS 'number of the row in its stream';

CREATE TABLE audit.checkpoints (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    size bigint NOT NULL,
    root bytea NOT NULL,
    origin text COLLATE "C" NOT NULL,
    note text NOT NULL,
    key_name text COLLATE "C" NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    imported_by text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit.checkpoints IS 'heads of the tree that somebody outside of the database signed';
COMMENT ON COLUMN audit.checkpoints.id IS 'number of the checkpoint';
COMMENT ON COLUMN audit.checkpoints.size IS 'leaves that it covers';
COMMENT ON COLUMN audit.checkpoints.root IS 'hash of the tree of that size';
COMMENT ON COLUMN audit.checkpoints.origin IS 'name of the tree';
COMMENT ON COLUMN audit.checkpoints.note IS 'the signed note, word for word';
COMMENT ON COLUMN audit.checkpoints.key_name IS 'name of the trusted key that signed it';
COMMENT ON COLUMN audit.checkpoints.imported_at IS 'when it was imported';
COMMENT ON COLUMN audit.checkpoints.imported_by IS 'the role that logged in and imported it';
CREATE INDEX checkpoints_size_idx ON audit.checkpoints (size);

CREATE TABLE audit.ledger_keys (
    verifier_key text COLLATE "C" PRIMARY KEY,
    key_name text COLLATE "C" NOT NULL,
    trusted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    trusted_by text COLLATE "C" NOT NULL,
    reason text NOT NULL
);
COMMENT ON TABLE audit.ledger_keys IS 'public keys whose signatures on checkpoints count';
COMMENT ON COLUMN audit.ledger_keys.verifier_key IS 'the public key, as audit-guard keygen prints it';
COMMENT ON COLUMN audit.ledger_keys.key_name IS 'name of the key';
COMMENT ON COLUMN audit.ledger_keys.trusted_at IS 'when it was trusted';
COMMENT ON COLUMN audit.ledger_keys.trusted_by IS 'the role that logged in and trusted it';
COMMENT ON COLUMN audit.ledger_keys.reason IS 'why, in the words of that person';

CREATE TABLE audit.ledger_key_withdrawals (
    verifier_key text COLLATE "C" PRIMARY KEY,
    withdrawn_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    withdrawn_by text COLLATE "C" NOT NULL,
    reason text NOT NULL
);
COMMENT ON TABLE audit.ledger_key_withdrawals IS 'keys that are trusted no more';
COMMENT ON COLUMN audit.ledger_key_withdrawals.verifier_key IS 'the public key';
COMMENT ON COLUMN audit.ledger_key_withdrawals.withdrawn_at IS 'when it was withdrawn';
COMMENT ON COLUMN audit.ledger_key_withdrawals.withdrawn_by IS 'the role that logged in and withdrew it';
COMMENT ON COLUMN audit.ledger_key_withdrawals.reason IS 'why, in the words of that person';

CREATE TABLE audit.verify_runs (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_by text COLLATE "C" NOT NULL,
    stream text COLLATE "C",
    from_size bigint NOT NULL,
    to_size bigint NOT NULL,
    root bytea,
    code text COLLATE "C" NOT NULL,
    rows_checked bigint NOT NULL
);
COMMENT ON TABLE audit.verify_runs IS
    'verifications that were run here: where verify_incremental goes on; no evidence by itself';
COMMENT ON COLUMN audit.verify_runs.id IS 'number of the run';
COMMENT ON COLUMN audit.verify_runs.finished_at IS 'when it ended';
COMMENT ON COLUMN audit.verify_runs.run_by IS 'the role that logged in and ran it';
COMMENT ON COLUMN audit.verify_runs.stream IS 'the stream that it was limited to; null: all';
COMMENT ON COLUMN audit.verify_runs.from_size IS 'the first leaf that it looked at';
COMMENT ON COLUMN audit.verify_runs.to_size IS 'leaves in the tree then';
COMMENT ON COLUMN audit.verify_runs.root IS 'hash of the tree of that size; null for an empty tree';
COMMENT ON COLUMN audit.verify_runs.code IS 'its verdict';
COMMENT ON COLUMN audit.verify_runs.rows_checked IS 'rows that were derived again';

CREATE TABLE audit.ledger_exports (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    from_size bigint NOT NULL,
    to_size bigint NOT NULL,
    root bytea NOT NULL,
    destination text NOT NULL,
    exported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    exported_by text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit.ledger_exports IS 'copies of rows and proofs that were taken out of the database';
COMMENT ON COLUMN audit.ledger_exports.id IS 'number of the export';
COMMENT ON COLUMN audit.ledger_exports.from_size IS 'the first leaf in it';
COMMENT ON COLUMN audit.ledger_exports.to_size IS 'the leaf after the last one in it';
COMMENT ON COLUMN audit.ledger_exports.root IS 'hash of the tree of that size';
COMMENT ON COLUMN audit.ledger_exports.destination IS 'where it is kept';
COMMENT ON COLUMN audit.ledger_exports.exported_at IS 'when it was recorded';
COMMENT ON COLUMN audit.ledger_exports.exported_by IS 'the role that logged in and recorded it';

-- An authorised redaction is looked up by its row.
CREATE INDEX guard_events_redacted_idx ON audit.guard_events ((detail ->> 'stream_no'), (detail ->> 'id'))
    WHERE kind = 'redacted';

CREATE FUNCTION audit._ledger_tables() RETURNS SETOF regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT t.name::regclass
    FROM unnest(ARRAY['audit.checkpoints', 'audit.ledger_exports', 'audit.ledger_incarnations',
                      'audit.ledger_key_withdrawals', 'audit.ledger_keys', 'audit.ledger_schemas',
                      'audit.ledger_streams', 'audit.ledger_subtrees', 'audit.ledger_unsealed', 'audit.seals',
                      'audit.verify_runs']) t(name)
$body$;
COMMENT ON FUNCTION audit._ledger_tables() IS 'internal: the tables of the ledger; they are append-only, too';

DO $tables$
DECLARE
    own regclass;
BEGIN
    FOR own IN SELECT t.* FROM audit._ledger_tables() t LOOP
        PERFORM audit._make_append_only(own);
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', own);
        EXECUTE format('CREATE POLICY readers ON %s FOR SELECT TO audit_reader USING (true)', own);
        EXECUTE format('COMMENT ON POLICY readers ON %s IS %L', own,
                       'members of audit_reader see everything, nobody else anything');
    END LOOP;
END
$tables$;
