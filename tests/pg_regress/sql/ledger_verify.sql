-- verify and verify_incremental: what they take, what they refuse, what is noted, and that workers help.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA verified;
CREATE TABLE verified.visits (id integer PRIMARY KEY, patient text);
SELECT audit.enable_tracking('verified.visits');
SELECT audit.seal() > 0 AS done;
SELECT size AS before FROM audit.tree_head() \gset
INSERT INTO verified.visits SELECT i, 'p' || i FROM generate_series(1, 30) i;
SELECT audit.seal() - :before AS leaves;
-- all of it, with and without workers
SELECT code, stream, id, regexp_replace(detail, '; authorised redactions: [^;]*', '') AS detail,
       rows_checked + (SELECT count(*) FROM audit.seals) = size AS all_rows
    FROM audit.verify(), audit.tree_head();
SELECT code, rows_checked + (SELECT count(*) FROM audit.seals) = size AS all_rows
    FROM audit.verify(workers => 0), audit.tree_head();
SELECT code, rows_checked + (SELECT count(*) FROM audit.seals) = size AS all_rows
    FROM audit.verify(workers => 4), audit.tree_head();
-- one stream, a span of time
SELECT code, rows_checked = (SELECT count(*) FROM audit.guard_events) AS its_rows
    FROM audit.verify(stream => 'guard_events');
SELECT sealed_at AS mark FROM audit.tree_head() \gset
SELECT pg_sleep(0.01) \g /dev/null
INSERT INTO verified.visits SELECT i, 'p' || i FROM generate_series(31, 40) i;
SELECT audit.seal() - :before AS leaves;
SELECT code, rows_checked FROM audit.verify(since => :'mark');
SELECT code, rows_checked FROM audit.verify(stream => 'audit_log', since => :'mark', until => now());
SELECT code, rows_checked, detail FROM audit.verify(since => now() + interval '1 hour');
SELECT code, rows_checked FROM audit.verify(until => '-infinity');
SELECT rows_checked > 10 AS all_rows FROM audit.verify(since => '-infinity', until => 'infinity');
-- rows that wait are counted, and make nothing wrong
INSERT INTO verified.visits VALUES (41, 'p41');
SELECT code, detail ~ 'not sealed yet: 1$' AS waiting FROM audit.verify();
-- only what is new
SELECT code, rows_checked FROM audit.verify_incremental();
SELECT audit.seal() - :before AS leaves;
SELECT code, rows_checked FROM audit.verify_incremental();
SELECT code, rows_checked FROM audit.verify_incremental();
SELECT code, rows_checked = 41 AS both FROM audit.verify_incremental(:before);
SELECT code, detail ~ 'had 99999999999 leaves' AS why FROM audit.verify_incremental(99999999999);
-- what was run is noted
SELECT run_by = session_user AS by_me, stream, from_size < to_size AS something, octet_length(root) AS root, code
    FROM audit.verify_runs ORDER BY id DESC LIMIT 3;
BEGIN READ ONLY;
SELECT code FROM audit.verify();
SELECT code FROM audit.verify_incremental();
COMMIT;
-- the query of the slices: the server has workers take them
CREATE FUNCTION verified.launched(query text, OUT workers integer) LANGUAGE plpgsql
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0 SET max_parallel_workers_per_gather = 2 AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan USING NULL::text, NULL::timestamptz, NULL::timestamptz;
    workers := (jsonb_path_query_first(plan::jsonb, '$.**."Workers Launched"'))::integer;
END $$;
SELECT verified.launched(replace(replace(replace(audit._slices_query(
           array_agg(first_seal ORDER BY first_seal), array_agg(last_seal_no ORDER BY first_seal)),
           '$1', 'NULL'), '$2', 'NULL'), '$3', 'NULL')) > 0 AS workers_launched
    FROM (SELECT seal_no AS first_seal, seal_no AS last_seal_no FROM audit.seals ORDER BY seal_no DESC LIMIT 3) s;
-- what it does not take
SELECT code, message, hint FROM unnest(ARRAY[
    $$SELECT * FROM audit.verify(stream => 'nothing')$$, $$SELECT * FROM audit.verify(stream => '')$$,
    $$SELECT * FROM audit.verify(stream => 'audit_log'' OR true --')$$,
    $$SELECT * FROM audit.verify(since => '2026-01-02', until => '2026-01-01')$$,
    $$SELECT * FROM audit.verify(workers => -1)$$, $$SELECT * FROM audit.verify(workers => 65)$$,
    $$SELECT * FROM audit.verify_incremental(-1)$$]) s(command), t.try(s.command);
SELECT code, message ~ 'longer than' AS why FROM t.try($$SELECT * FROM audit.verify(checkpoint => repeat('x', 70000))$$);
SELECT code FROM unnest(ARRAY['', 'x', E'a\nb\nc\n', E'o\n1\nAAAA\n\n', E'o\n-1\n\n\n— k AAAA\n']) n(note),
    t.try(format('SELECT * FROM audit.verify(checkpoint => %L)', n.note));
-- who may
SET ROLE regress_reader;
SELECT code FROM audit.verify();
SELECT code FROM audit.verify(workers => 2);
SELECT code FROM audit.verify_incremental();
SELECT count(*) > 0 AS readable FROM audit.seals s, audit._entries(s.seal_no);
SELECT bool_and(has_table_privilege(t.name, 'SELECT') AND NOT has_table_privilege(t.name, 'INSERT, UPDATE, DELETE'))
       AS reads_only
    FROM unnest('{checkpoints,ledger_exports,ledger_incarnations,ledger_key_withdrawals,ledger_keys,ledger_schemas,
    ledger_streams,ledger_subtrees,ledger_unsealed,seals,verify_runs}'::text[]) n(name),
    LATERAL (SELECT 'audit.' || n.name) t(name);
RESET ROLE;
SET ROLE regress_app;
SELECT code FROM audit.verify();
SELECT code FROM audit.verify_incremental();
SELECT count(*) FROM audit.verify_runs;
RESET ROLE;
SELECT audit.disable_tracking('verified.visits', 'done');
DROP SCHEMA verified CASCADE;
