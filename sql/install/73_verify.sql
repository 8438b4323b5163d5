-- Purpose: derives the leaves of the tree from the rows again, and compares with what is sealed and signed.
-- Who may call: audit_reader; everything runs with the caller's rights, save that the run is noted.
-- Relies on: 73_ledger_checks.sql.

CREATE FUNCTION audit._note_run(stream text, from_size bigint, to_size bigint, root bytea, code text,
                                rows_checked bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
BEGIN
    IF NOT current_setting('transaction_read_only')::boolean
       AND to_size <= (SELECT coalesce(max(s.size_after), 0) FROM audit.seals s) THEN
        INSERT INTO audit.verify_runs (run_by, stream, from_size, to_size, root, code, rows_checked)
        VALUES (who.login_role, _note_run.stream, _note_run.from_size, _note_run.to_size, _note_run.root,
                _note_run.code, _note_run.rows_checked);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._note_run(text, bigint, bigint, bytea, text, bigint) IS
    'internal: notes a verification, where that is possible';

CREATE FUNCTION audit._check_verify(stream text, since timestamptz, until timestamptz, workers integer)
RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM audit._check_stream(stream);
    IF since >= until THEN
        RAISE EXCEPTION 'since must lie before until'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT * FROM audit.verify();';
    ELSIF workers NOT BETWEEN 0 AND 64 THEN
        RAISE EXCEPTION 'workers must be between 0 and 64'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT * FROM audit.verify(workers => 2);';
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_verify(text, timestamptz, timestamptz, integer) IS
    'internal: refuses what verify cannot do';

-- Each line of what was found, worst first; the kinds that only count come with how often.
CREATE FUNCTION audit._sum_up(
    counts jsonb, is_proven boolean, is_complete boolean, from_size bigint, size bigint,
    said audit.checkpoints, redacted jsonb, pruned jsonb, waiting bigint, rows_checked bigint)
RETURNS audit.verdict
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    worst_first constant text[] := '{fork,rollback,bad_signature,tree_mismatch,seal_gap,unknown_schema,modified,'
                                   'missing,orphan,duplicate,unauthorised_redaction,premature_prune,stale,'
                                   'acknowledged_gap}';
    summary audit.verdict;
BEGIN
    SELECT c.key INTO summary.code
    FROM jsonb_each(counts) c
    ORDER BY coalesce(array_position(worst_first, c.key), 0), c.key LIMIT 1;
    summary.code := coalesce(summary.code, CASE WHEN coalesce(is_proven, false) THEN 'ok' ELSE 'internally_consistent' END);
    summary.rows_checked := rows_checked;
    summary.detail := concat_ws('; ',
        (SELECT 'found: ' || string_agg(format('%s %s', c.value, c.key), ', '
                                        ORDER BY array_position(worst_first, c.key), c.key)
         FROM jsonb_each_text(counts) c),
        CASE WHEN counts = '{}' AND is_proven
             THEN format('leaves %s to %s agree with the checkpoint of %s', from_size,
                         least(size, said.size) - 1, said.key_name)
                  || CASE WHEN size > said.size
                          THEN format(', %s newer ones with each other', size - said.size) ELSE '' END
             WHEN counts = '{}' AND from_size IS NULL THEN 'nothing is sealed here'
             WHEN counts = '{}'
             THEN 'rows, seals and tree agree with each other; whether all of them were replaced together only a '
                  'checkpoint kept elsewhere can tell' END,
        CASE WHEN NOT is_complete THEN 'a part of the ledger was looked at' END,
        (SELECT 'authorised redactions: ' || string_agg(format('%s %s', r.key, r.value), ', ' ORDER BY r.key)
         FROM jsonb_each_text(redacted) r),
        (SELECT 'expired rows that left: ' || string_agg(format('%s %s', p.stream, p.n), ', ' ORDER BY p.stream)
         FROM (SELECT split_part(p.key, ' ', 1), sum(p.value::bigint) FROM jsonb_each_text(pruned) p
               GROUP BY 1) p(stream, n)),
        CASE WHEN waiting > 0 THEN format('not sealed yet: %s', waiting) END);
    RETURN summary;
END
$body$;
COMMENT ON FUNCTION audit._sum_up(
    jsonb, boolean, boolean, bigint, bigint, audit.checkpoints, jsonb, jsonb, bigint, bigint) IS
    'internal: the first line of a verification';

CREATE FUNCTION audit._verify_range(
    stream text, since timestamptz, until timestamptz, from_size bigint, checkpoint text, workers integer,
    known_root bytea)
RETURNS SETOF audit.verdict
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    shown_findings constant bigint := 1000;
    is_part constant boolean := since IS NOT NULL OR until IS NOT NULL OR from_size > 0;
    at_once constant integer := greatest(16, 1 << least(workers, 9));
    started_at constant timestamptz := clock_timestamp();
    told_at timestamptz := clock_timestamp();
    head audit.seals;
    said audit.checkpoints;
    is_signed boolean := false;
    first_seals bigint[];
    last_seals bigint[];
    done integer := 0;
    first_leaf bigint;
    last_leaf bigint;
    found audit.verdict;
    findings audit.verdict[] := '{}';
    -- What is wrong with the ledger itself comes before what is wrong with rows.
    first_findings audit.verdict[] := '{}';
    more audit.verdict[] := '{}';
    counts jsonb := '{}';
    redacted jsonb := '{}';
    pruned jsonb := '{}';
    checked bigint := 0;
    share numeric;
    summary audit.verdict;
BEGIN
    SELECT s.seal_no, s.size_after, s.root_after INTO head.seal_no, head.size_after, head.root_after
    FROM audit.seals s ORDER BY s.seal_no DESC LIMIT 1;
    head.size_after := coalesce(head.size_after, 0);
    IF checkpoint IS NOT NULL THEN
        SELECT n.origin, n.size, n.root, n.key_name, n.is_signed
        INTO said.origin, said.size, said.root, said.key_name, is_signed
        FROM audit._read_note(checkpoint, 'SELECT * FROM audit.verify();') n;
    END IF;
    SELECT array_agg(b.first_seal ORDER BY b.first_seal), array_agg(b.last_seal_no ORDER BY b.first_seal),
           min(b.first_leaf), coalesce(max(b.size_after), head.size_after)
    INTO first_seals, last_seals, first_leaf, last_leaf
    FROM audit._slices(from_size, head.seal_no, since, until) b;

    WHILE done < coalesce(cardinality(first_seals), 0) LOOP
        FOR found IN
            SELECT r.* FROM audit._run_slices(first_seals[done + 1:done + at_once], last_seals[done + 1:done + at_once],
                                              stream, since, until, workers) r
            WHERE NOT (r.code = 'orphan'
                       AND (r.stream, r.id) IN (SELECT c.stream, c.id FROM audit._closing_rows() c))
        LOOP
            IF found.code = 'checked' THEN
                checked := checked + found.rows_checked;
            ELSIF found.code = 'redacted' THEN
                redacted := redacted || jsonb_build_object(
                    found.stream, coalesce((redacted ->> found.stream)::bigint, 0) + 1);
            ELSIF found.code = 'pruned' THEN
                pruned := pruned || jsonb_build_object(
                    found.stream || ' ' || found.detail,
                    coalesce((pruned ->> (found.stream || ' ' || found.detail))::bigint, 0) + found.rows_checked);
            ELSE
                counts := counts || jsonb_build_object(found.code, coalesce((counts ->> found.code)::bigint, 0) + 1);
                IF cardinality(findings) < shown_findings THEN
                    findings := findings || found;
                END IF;
            END IF;
        END LOOP;
        done := least(done + at_once, cardinality(first_seals));
        IF clock_timestamp() > told_at + interval '5 seconds' THEN
            told_at := clock_timestamp();
            share := done::numeric / cardinality(first_seals);
            RAISE NOTICE 'verified % rows, % %%, about % left', checked, round(share * 100),
                date_trunc('second', (told_at - started_at) * ((1 - share) / share)::float8);
        END IF;
    END LOOP;

    IF checkpoint IS NOT NULL THEN
        more := ARRAY(SELECT c FROM audit._check_checkpoint(said, is_signed, is_part, from_size, head.seal_no, since,
                                                            until) c);
    END IF;
    IF known_root IS NOT NULL THEN
        more := more || ARRAY(
            SELECT ROW('fork', NULL, NULL, NULL, NULL,
                       format('the tree of %s leaves is not the one that was verified before', from_size),
                       NULL)::audit.verdict
            WHERE audit._tree_root(from_size) IS DISTINCT FROM known_root);
    END IF;
    FOR found IN
        SELECT m.* FROM unnest(more) m
        UNION ALL
        SELECT c.* FROM audit._check_stored() c
        UNION ALL
        SELECT c.* FROM audit._check_structure(head.seal_no) c
        UNION ALL
        SELECT c.* FROM audit._check_outsiders(stream) c WHERE NOT is_part
        UNION ALL
        SELECT c.* FROM audit._check_pruned(pruned) c
        UNION ALL
        SELECT c.* FROM audit._acknowledged_gaps(coalesce(first_leaf, head.size_after), last_leaf) c
    LOOP
        -- The hashing finds some of it, too.
        CONTINUE WHEN found.code = 'seal_gap'
                      AND EXISTS (SELECT FROM unnest(findings) f
                                  WHERE f.code = found.code AND f.leaf_index = found.leaf_index);
        counts := counts || jsonb_build_object(found.code, coalesce((counts ->> found.code)::bigint, 0) + 1);
        IF cardinality(first_findings) < shown_findings THEN
            first_findings := first_findings || found;
        END IF;
    END LOOP;

    summary := audit._sum_up(
        counts, is_signed AND first_leaf < said.size, NOT is_part AND stream IS NULL,
        first_leaf, last_leaf, said, redacted, pruned,
        (SELECT u.waiting FROM audit._unsealed() u), checked);
    findings := first_findings || findings;
    IF (SELECT sum(c.value::bigint) FROM jsonb_each_text(counts) c) > cardinality(findings) THEN
        summary.detail := summary.detail || format('; the first %s are shown', cardinality(findings));
    END IF;
    IF since IS NULL AND until IS NULL THEN
        PERFORM audit._note_run(stream, from_size, head.size_after, head.root_after, summary.code, checked);
    END IF;
    RETURN NEXT summary;
    RETURN QUERY SELECT f.* FROM unnest(findings) f;
END
$body$;
COMMENT ON FUNCTION audit._verify_range(text, timestamptz, timestamptz, bigint, text, integer, bytea) IS
    'internal: verifies a part of the ledger, or all of it';

CREATE FUNCTION audit.verify(
    stream text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    checkpoint text DEFAULT NULL, workers integer DEFAULT NULL)
RETURNS SETOF audit.verdict
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM audit._check_verify(stream, since, until, workers);
    RETURN QUERY SELECT v.* FROM audit._verify_range(
        stream, since, until, 0, checkpoint,
        coalesce(workers, current_setting('max_parallel_workers_per_gather')::integer), NULL) v;
END
$body$;
COMMENT ON FUNCTION audit.verify(text, timestamptz, timestamptz, text, integer) IS
    'derives every leaf of the tree from its row again and compares, in parallel; the first line sums up. ok needs '
    'a checkpoint that was kept elsewhere and that a trusted key has signed. Of findings about rows, at most 1000 '
    'are shown';

CREATE FUNCTION audit.verify_incremental(from_size bigint DEFAULT NULL, checkpoint text DEFAULT NULL)
RETURNS SETOF audit.verdict
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    known record;
    size constant bigint := coalesce((SELECT s.size_after FROM audit.seals s ORDER BY s.seal_no DESC LIMIT 1), 0);
BEGIN
    IF from_size < 0 THEN
        RAISE EXCEPTION 'from_size must not be negative'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT * FROM audit.verify_incremental();';
    END IF;
    -- What lies before it was verified by runs that follow each other from the first leaf on.
    WITH RECURSIVE chain(to_size, root) AS (
        SELECT r.to_size, r.root
        FROM (SELECT o.to_size, o.root FROM audit.verify_runs o
              WHERE o.stream IS NULL AND o.from_size = 0
                AND o.code IN ('ok', 'internally_consistent', 'acknowledged_gap')
              ORDER BY o.to_size DESC LIMIT 1) r
        UNION ALL
        SELECT r.to_size, r.root
        FROM chain c
        CROSS JOIN LATERAL (SELECT o.to_size, o.root FROM audit.verify_runs o
                            WHERE o.stream IS NULL AND o.from_size <= c.to_size AND o.to_size > c.to_size
                              AND o.code IN ('ok', 'internally_consistent', 'acknowledged_gap')
                            ORDER BY o.to_size DESC LIMIT 1) r
    )
    SELECT max(c.to_size) AS size, (array_agg(c.root ORDER BY c.to_size DESC))[1] AS root INTO known
    FROM chain c;
    known.size := coalesce(from_size, known.size, 0);
    IF from_size IS NOT NULL THEN
        known.root := NULL;
    END IF;
    IF known.size > size THEN
        RETURN QUERY SELECT 'rollback', NULL::text, NULL::text, NULL::bigint, NULL::text,
                            format('the tree had %s leaves when it was verified, and has %s', known.size, size),
                            0::bigint;
        RETURN;
    END IF;
    RETURN QUERY SELECT v.* FROM audit._verify_range(
        NULL, NULL, NULL, known.size, checkpoint, current_setting('max_parallel_workers_per_gather')::integer,
        CASE WHEN known.size > 0 THEN known.root END) v;
END
$body$;
COMMENT ON FUNCTION audit.verify_incremental(bigint, text) IS
    'verifies what was sealed since the tree had from_size leaves, or since the last run that is noted in '
    'audit.verify_runs; older rows are not looked at again';
