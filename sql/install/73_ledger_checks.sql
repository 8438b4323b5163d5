-- Purpose: the single questions that a verification asks.
-- Who may call: internal, with the rights of whoever verifies, and by reading only.
-- Relies on: 67_ledger_tables.sql, 72_checkpoints.sql; the hashing is done by the library.

-- No hash covers the name of a key whose value is gone, so the events tell which names there may be, each once.
CREATE FUNCTION audit._is_authorised(stream text, id text, fields text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT count(*) = count(DISTINCT f.name)
           AND bool_and(EXISTS (
               SELECT FROM audit.guard_events e
               WHERE e.kind = 'redacted'
                 AND e.detail ->> 'stream_no' = (SELECT s.stream_no::text FROM audit.ledger_streams s
                                                 WHERE s.stream = _is_authorised.stream)
                 AND e.detail ->> 'id' = _is_authorised.id
                 AND e.detail -> 'erased' ?| ARRAY[f.name, split_part(f.name, '.', 1)]))
    FROM jsonb_array_elements_text(fields::jsonb) f(name)
$body$;
COMMENT ON FUNCTION audit._is_authorised(text, text, text) IS
    'internal: whether events say that these fields of a row (a JSON array) were erased by redact';

-- Slices as the branches of one query: the server gives them to its parallel workers one by one. Events are read
-- in the same snapshot as the rows that they are about.
CREATE FUNCTION audit._run_slices(
    first_seals bigint[], last_seals bigint[], stream text, since timestamptz, until timestamptz,
    workers integer)
RETURNS SETOF audit.verdict
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0
SET parallel_setup_cost = 0
SET parallel_tuple_cost = 0
SET jit = off
AS $body$
BEGIN
    PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
    RETURN QUERY EXECUTE audit._slices_query(first_seals, last_seals) USING stream, since, until;
END
$body$;
COMMENT ON FUNCTION audit._run_slices(bigint[], bigint[], text, timestamptz, timestamptz, integer) IS
    'internal: verifies slices of seals with some parallel workers';

CREATE FUNCTION audit._slices_query(first_seals bigint[], last_seals bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 'SELECT CASE WHEN v.code = ''redacted'' AND NOT audit._is_authorised(v.stream, v.id, v.field) '
           'THEN ''unauthorised_redaction'' ELSE v.code END, '
           'v.stream, v.id, v.leaf_index, v.field, CASE WHEN v.code = ''redacted'' '
           'THEN ''no event says that all of this was erased'' ELSE v.detail END, v.rows_checked FROM ('
           || string_agg(format('SELECT * FROM audit._verify_slice(%s, %s, $1, $2, $3)', s.first_seal, s.last_seal),
                         ' UNION ALL ')
           || ') v'
    FROM unnest(first_seals, last_seals) s(first_seal, last_seal)
$body$;
COMMENT ON FUNCTION audit._slices_query(bigint[], bigint[]) IS
    'internal: the query that verifies slices of seals; $1 to $3 are stream, since and until';

CREATE FUNCTION audit._slices(from_size bigint, last_seal bigint, since timestamptz, until timestamptz)
RETURNS TABLE (first_seal bigint, last_seal_no bigint, first_leaf bigint, size_after bigint)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH chosen AS (
        SELECT s.seal_no, s.incarnation, s.kind, s.first_leaf, s.size_after,
               s.seal_no::numeric - row_number() OVER (PARTITION BY s.incarnation, s.kind ORDER BY s.seal_no) AS island
        FROM audit.seals s
        WHERE s.seal_no <= last_seal AND s.size_after > from_size
          AND (since IS NULL OR s.newest_at >= since) AND (until IS NULL OR s.oldest_at < until))
    SELECT min(c.seal_no), max(c.seal_no), min(c.first_leaf), max(c.size_after)
    FROM chosen c
    GROUP BY c.incarnation, c.kind, c.island, c.first_leaf / 65536, c.seal_no / 500
    ORDER BY 1
$body$;
COMMENT ON FUNCTION audit._slices(bigint, bigint, timestamptz, timestamptz) IS
    'internal: the seals that may have rows of a span of time, in slices of about one size';

-- Hashes follow each other as RFC 9162 section 2.1.4.2 says. The smaller tree is the beginning of the larger one
-- or there is no such proof, wherever its hashes come from.
CREATE FUNCTION audit._is_beginning(small_size bigint, small_root bytea, size bigint, root bytea) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    node bytea;
    nodes bytea[];
    here bigint := small_size - 1;
    last bigint := size - 1;
    small_hash bytea;
    hash bytea;
BEGIN
    IF small_size <= 0 OR small_size >= size THEN
        RETURN small_size = 0 OR (small_size = size AND small_root = root);
    END IF;
    nodes := ARRAY(SELECT decode(l.line, 'base64')
                   FROM regexp_split_to_table(audit.consistency(small_size, size), E'\n') WITH ORDINALITY l(line, n)
                   WHERE l.line <> '' ORDER BY l.n);
    IF small_size & (small_size - 1) = 0 THEN
        nodes := small_root || nodes;
    END IF;
    WHILE here & 1 = 1 LOOP
        here := here >> 1;
        last := last >> 1;
    END LOOP;
    small_hash := nodes[1];
    hash := nodes[1];
    FOREACH node IN ARRAY nodes[2:] LOOP
        IF last = 0 THEN
            RETURN false;
        ELSIF here & 1 = 1 OR here = last THEN
            small_hash := sha256('\x01'::bytea || node || small_hash);
            hash := sha256('\x01'::bytea || node || hash);
            WHILE here & 1 = 0 AND here <> 0 LOOP
                here := here >> 1;
                last := last >> 1;
            END LOOP;
        ELSE
            hash := sha256('\x01'::bytea || hash || node);
        END IF;
        here := here >> 1;
        last := last >> 1;
    END LOOP;
    RETURN coalesce(last = 0 AND small_hash = small_root AND hash = root, false);
EXCEPTION
    -- What is stored gives no such proof.
    WHEN invalid_parameter_value OR data_corrupted THEN
        RETURN false;
END
$body$;
COMMENT ON FUNCTION audit._is_beginning(bigint, bytea, bigint, bytea) IS
    'internal: whether a tree is the beginning of a larger one, by a consistency proof';

-- What a checkpoint from elsewhere says about the tree. Of a part of the seals it is asked whether the tree in
-- which they end is the beginning of the signed one, or the other way round.
CREATE FUNCTION audit._check_checkpoint(
    said audit.checkpoints, is_signed boolean, is_part boolean, from_size bigint, last_seal bigint,
    since timestamptz, until timestamptz)
RETURNS SETOF audit.verdict
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    found audit.verdict;
    known_leaves constant bigint := audit._leaves_of_origin(said.origin);
    is_declared constant boolean := EXISTS (SELECT FROM audit.ledger_incarnations i
                                            WHERE i.kind = 'declared' AND i.origin <> said.origin);
BEGIN
    IF NOT is_signed THEN
        found.code := 'bad_signature';
        found.detail := 'no trusted key has signed the checkpoint; if the key is right: audit.trust_key';
        RETURN NEXT found;
    END IF;
    IF known_leaves IS NULL THEN
        found.code := 'fork';
        found.detail := 'the checkpoint is of another tree; here there never was one of this name';
        RETURN NEXT found;
        RETURN;
    ELSIF said.size > known_leaves THEN
        found.code := CASE WHEN is_declared THEN 'acknowledged_gap' ELSE 'rollback' END;
        found.leaf_index := known_leaves;
        found.detail := format('the checkpoint covers %s leaves, and the tree of that name has %s%s', said.size,
                               known_leaves, CASE WHEN is_declared THEN ': a discontinuity was declared' END);
        RETURN NEXT found;
        RETURN;
    END IF;
    found.code := 'fork';
    found.detail := format('the tree of %s leaves is not the one that was signed', said.size);
    IF audit._tree_root(said.size) IS DISTINCT FROM said.root THEN
        RETURN NEXT found;
    ELSIF is_part AND EXISTS (
        SELECT FROM (SELECT max(p.size_after) AS size_after
                     FROM (SELECT l.*, count(*) FILTER (WHERE l.starts) OVER (ORDER BY l.first_leaf) AS run
                           FROM (SELECT b.*, lag(b.size_after) OVER (ORDER BY b.first_leaf)
                                             IS DISTINCT FROM b.first_leaf AS starts
                                 FROM audit._slices(from_size, last_seal, since, until) b) l) p
                     GROUP BY p.run) part
        JOIN audit.seals s ON s.size_after = part.size_after
        WHERE NOT CASE WHEN s.size_after <= said.size
                       THEN audit._is_beginning(s.size_after, s.root_after, said.size, said.root)
                       ELSE audit._is_beginning(said.size, said.root, s.size_after, s.root_after) END) THEN
        RETURN NEXT found;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_checkpoint(
    audit.checkpoints, boolean, boolean, bigint, bigint, timestamptz, timestamptz) IS
    'internal: what does not agree with a checkpoint';

-- What was signed and is still stored here must agree, too. Notes of keys that were withdrawn say nothing more.
CREATE FUNCTION audit._check_stored() RETURNS SETOF audit.verdict
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    keys constant text[] := audit._trusted_keys();
    stored record;
    said record;
    found audit.verdict;
BEGIN
    FOR stored IN
        SELECT c.*, k.leaves, s.root_after
        FROM audit.checkpoints c
        CROSS JOIN LATERAL (SELECT audit._leaves_of_origin(c.origin)) k(leaves)
        LEFT JOIN audit.seals s ON s.size_after = c.size
        ORDER BY c.size, c.id
    LOOP
        found := NULL;
        BEGIN
            SELECT n.* INTO said FROM audit._open_note(stored.note, keys) n;
        EXCEPTION WHEN invalid_parameter_value THEN
            SELECT NULL::text AS origin, NULL::bigint AS size, NULL::bytea AS root, false AS is_signed INTO said;
        END;
        IF said.origin IS NULL
           OR (said.origin, said.size, said.root) <> (stored.origin, stored.size, stored.root) THEN
            found.code := 'bad_signature';
            found.detail := format('checkpoint %s is not what its note says', stored.id);
        ELSIF said.is_signed AND coalesce(stored.leaves, 0) < stored.size THEN
            found.code := 'rollback';
            found.detail := format('checkpoint %s covers %s leaves, and the tree of that name has %s', stored.id,
                                   stored.size, coalesce(stored.leaves, 0));
        ELSIF said.is_signed AND stored.root_after <> stored.root THEN
            found.code := 'fork';
            found.detail := format('the tree of %s leaves is not the one that checkpoint %s signs', stored.size,
                                   stored.id);
        END IF;
        IF found.code IS NOT NULL THEN
            RETURN NEXT found;
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._check_stored() IS 'internal: stored checkpoints that the tree does not agree with';

CREATE FUNCTION audit._check_structure(last_seal bigint) RETURNS SETOF audit.verdict
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 'seal_gap', NULL, NULL, g.first_leaf, NULL,
           format('seal %s does not go on where the one before it ended', g.seal_no), NULL::bigint
    FROM (SELECT s.seal_no, s.first_leaf, s.leaves, s.size_after,
                 lag(s.seal_no, 1, 0::bigint) OVER (ORDER BY s.seal_no) AS seal_before,
                 lag(s.size_after, 1, 0::bigint) OVER (ORDER BY s.seal_no) AS size_before
          FROM audit.seals s WHERE s.seal_no <= last_seal) g
    WHERE g.seal_no::numeric <> g.seal_before::numeric + 1 OR g.first_leaf <> g.size_before
       OR g.size_after::numeric <> g.first_leaf::numeric + g.leaves
    UNION ALL
    -- Whether our own have the right names, the library looks at.
    SELECT 'unknown_schema', t.stream, NULL, NULL, NULL, 'the table of the stream is not as it should be', NULL
    FROM audit.ledger_streams t
    WHERE (t.stream_no >= 100 OR (t.table_schema = 'audit' AND t.table_name = t.stream))
      AND NOT EXISTS (SELECT FROM audit._readable_streams() r WHERE r.stream_no = t.stream_no)
    UNION ALL
    -- A declared life is as its event says, which is sealed itself; the others are as the one before them.
    SELECT 'seal_gap', NULL, NULL, NULL, NULL,
           format('incarnation %s is not as it began', i.incarnation), NULL
    FROM (SELECT n.*, lag(n.floors, 1, '{}') OVER (ORDER BY n.incarnation) AS floors_before
          FROM audit.ledger_incarnations n) i
    WHERE CASE WHEN i.kind = 'declared'
               THEN NOT EXISTS (SELECT FROM audit.guard_events e
                                WHERE e.kind = 'discontinuity_declared' AND e.object = i.origin
                                  AND e.detail ->> 'incarnation' = i.incarnation::text
                                  AND e.detail -> 'floors' = i.floors
                                  AND e.detail ->> 'start_snapshot' = i.start_snapshot::text)
               ELSE i.floors <> i.floors_before END
    UNION ALL
    SELECT 'rollback', NULL, NULL, h.size, NULL,
           format('the tree had %s leaves when it was verified, and has %s', r.size, h.size), NULL
    FROM (SELECT max(v.to_size) FROM audit.verify_runs v) r(size),
         (SELECT coalesce(max(s.size_after), 0) FROM audit.seals s) h(size)
    WHERE r.size > h.size
    UNION ALL
    SELECT 'unknown_schema', st.stream, NULL, NULL, NULL,
           format('definition %s is not what its hash says', d.schema_no), NULL
    FROM audit.ledger_schemas d
    LEFT JOIN audit.ledger_streams st ON st.stream_no = d.stream_no
    WHERE d.sha256 <> sha256(convert_to(d.definition, 'UTF8'))
$body$;
COMMENT ON FUNCTION audit._check_structure(bigint) IS
    'internal: what is wrong with seals, streams and schemas, without reading rows';

CREATE FUNCTION audit._acknowledged_gaps(from_size bigint, to_size bigint) RETURNS SETOF audit.verdict
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 'acknowledged_gap', NULL, NULL, g.leaf_index, NULL,
           format('a discontinuity was declared at %s: what came before it under another name may be incomplete',
                  to_char(g.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')), NULL::bigint
    FROM (SELECT i.incarnation, i.started_at,
                 coalesce((SELECT s.first_leaf FROM audit.seals s WHERE s.seal_no = i.first_seal), to_size) AS leaf_index
          FROM audit.ledger_incarnations i
          WHERE i.kind = 'declared' AND i.incarnation > 1) g
    WHERE g.leaf_index BETWEEN from_size AND to_size
    ORDER BY g.incarnation
$body$;
COMMENT ON FUNCTION audit._acknowledged_gaps(bigint, bigint) IS
    'internal: the declared discontinuities in a part of the tree';

-- Rows that no window can have: older than a declared discontinuity and not in the time before it, or with a
-- number that no transaction has. They are in the batch that closed the time before, or in an older seal; else
-- they were slipped in.
CREATE FUNCTION audit._check_outsiders(stream text) RETURNS SETOF audit.verdict
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    edge record;
    own audit.ledger_streams;
BEGIN
    FOR edge IN
        SELECT i.incarnation, i.floors, coalesce(before.snapshot, '1:1:'::pg_snapshot) AS snapshot
        FROM audit.ledger_incarnations i
        LEFT JOIN LATERAL (SELECT s.snapshot FROM audit.seals s WHERE s.incarnation < i.incarnation
                           ORDER BY s.seal_no DESC LIMIT 1) before ON true
        WHERE i.kind = 'declared'
          -- The closing batch is complete.
          AND (SELECT count(*) FROM audit.ledger_unsealed u WHERE u.incarnation = i.incarnation)
              = (SELECT coalesce(sum(s.leaves::bigint - 1), 0) FROM audit.seals s
                 WHERE s.incarnation = i.incarnation AND s.kind = 1)
        UNION ALL
        SELECT NULL, '{}', NULL
    LOOP
        FOR own IN
            SELECT s.* FROM audit._readable_streams() s
            WHERE _check_outsiders.stream IS NULL OR s.stream = _check_outsiders.stream
        LOOP
            RETURN QUERY EXECUTE format(
                'SELECT ''orphan'', %1$L, r.%2$I::text, NULL::bigint, NULL, %3$L, NULL::bigint FROM %4$I.%5$I r '
                'WHERE %6$s AND NOT EXISTS (SELECT FROM (SELECT e.* FROM audit.seals s '
                '                                        CROSS JOIN LATERAL audit._entries(s.seal_no) e) e '
                '                           WHERE e.stream_no = $5 AND e.transaction_id = r.transaction_id '
                '                             AND e.number = r.%2$I)',
                own.stream, own.number_column, 'no seal has this row', own.table_schema, own.table_name,
                CASE WHEN edge.incarnation IS NULL THEN 'r.transaction_id < 1'
                     ELSE format('r.%I <= $1 AND r.transaction_id >= $2 AND (r.transaction_id >= $3 '
                                 'OR NOT pg_visible_in_snapshot(r.transaction_id::text::xid8, $4))',
                                 own.number_column) END)
            USING coalesce(audit._floor(edge.floors, own.stream_no), -1),
                  pg_snapshot_xmin(edge.snapshot)::text::bigint, pg_snapshot_xmax(edge.snapshot)::text::bigint,
                  edge.snapshot, own.stream_no;
        END LOOP;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._check_outsiders(text) IS
    'internal: rows that belong to no window and are in no seal';

-- What an event says may be nonsense; then it says nothing. Not by catching the error: a parallel worker has no
-- savepoints.
CREATE FUNCTION audit._moment(said text) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN said ~ '^\d{4}-(0[1-9]|1[0-2])-01T00:00:00\+00:00$' AND said !~ '^0000'
                THEN said::timestamptz END
$body$;
COMMENT ON FUNCTION audit._moment(text) IS
    'internal: the beginning of a month as a certificate has it; null for anything else';

-- The certificates of the leaves that went: they tell how many rows, and whether the retention was over.
CREATE FUNCTION audit._check_pruned(pruned jsonb) RETURNS SETOF audit.verdict
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
    WITH gone AS (
        SELECT split_part(p.key, ' ', 1) AS stream, split_part(p.key, ' ', 2) AS month,
               to_timestamp(split_part(p.key, ' ', 2), 'YYYY-MM') AS month_at, p.value::bigint AS rows_gone
        FROM jsonb_each_text(pruned) p
    ), certificates AS (
        SELECT e.id, s.stream, e.logged_at, s.table_schema, s.table_name,
               CASE WHEN jsonb_typeof(e.detail -> 'rows') = 'number' THEN (e.detail ->> 'rows')::numeric
                    ELSE 0 END AS rows_certified,
               coalesce(audit._moment(e.detail ->> 'from'), '-infinity') AS begins_at,
               audit._moment(e.detail ->> 'to') AS ends_at
        FROM audit.guard_events e
        JOIN audit.ledger_streams s ON e.object = format('%I.%I', s.table_schema, s.table_name)
        WHERE e.kind = 'partition_expired'
    )
    SELECT 'missing', g.stream, NULL, NULL::bigint, NULL,
           format('%s rows of %s are gone, and no certificate says so', g.rows_gone, g.month), NULL::bigint
    FROM gone g
    WHERE NOT EXISTS (SELECT FROM certificates c WHERE c.stream = g.stream AND g.month_at >= c.begins_at
                                                   AND g.month_at < c.ends_at)
    UNION ALL
    SELECT 'missing', c.stream, NULL, NULL, NULL,
           format('%s rows of the months of certificate %s are gone, and certificates say %s', x.rows_gone, c.id,
                  y.rows_certified), NULL
    FROM certificates c
    CROSS JOIN LATERAL (SELECT sum(g.rows_gone) FROM gone g
                        WHERE g.stream = c.stream AND g.month_at >= c.begins_at AND g.month_at < c.ends_at
                       ) x(rows_gone)
    CROSS JOIN LATERAL (SELECT sum(o.rows_certified) FROM certificates o
                        WHERE o.stream = c.stream AND o.begins_at < c.ends_at AND o.ends_at > c.begins_at
                       ) y(rows_certified)
    WHERE x.rows_gone > y.rows_certified
    UNION ALL
    SELECT 'premature_prune', c.stream, NULL, NULL, NULL,
           format('the rows of certificate %s went before their retention was over', c.id), NULL
    FROM certificates c
    WHERE EXISTS (SELECT FROM gone g
                  WHERE g.stream = c.stream AND g.month_at >= c.begins_at AND g.month_at < c.ends_at)
      AND EXISTS (SELECT FROM (SELECT p.retention FROM audit._stream_policies() p
                               WHERE p.stream = to_regclass(format('%I.%I', c.table_schema, c.table_name))
                               UNION ALL
                               SELECT p.retention FROM audit.guard_policies p
                               WHERE p.table_schema = c.table_schema AND p.table_name = c.table_name
                                 AND p.set_at <= c.logged_at) r
                  WHERE r.retention IS NULL
                     OR (c.logged_at AT TIME ZONE 'UTC') - r.retention < c.ends_at AT TIME ZONE 'UTC')
$body$;
COMMENT ON FUNCTION audit._check_pruned(jsonb) IS
    'internal: what is wrong about rows that are gone, given their number per stream and month';

CREATE FUNCTION audit._closing_rows() RETURNS TABLE (stream text, id text)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT st.stream, e.number::text
    FROM audit.seals s
    CROSS JOIN LATERAL audit._entries(s.seal_no) e
    JOIN audit.ledger_streams st ON st.stream_no = e.stream_no
    WHERE s.kind = 1
$body$;
COMMENT ON FUNCTION audit._closing_rows() IS
    'internal: rows that were sealed because a discontinuity was declared, and not in their window';
