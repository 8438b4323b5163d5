-- Sealing: every committed row becomes one leaf, exactly once, whatever its transaction was like.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA sealed;
SET search_path = sealed;
CREATE TABLE visits (id integer PRIMARY KEY, patient text, note jsonb);
SELECT audit.enable_tracking('visits');
-- whatever other tests left behind
SELECT audit.seal() > 0 AS done;
SELECT audit.seal() > 0 AS done;
SELECT size AS before FROM audit.tree_head() \gset
-- nothing to seal, nothing sealed
SELECT audit.seal() = :before AS unchanged;
SELECT unsealed_rows FROM audit.tree_head();
INSERT INTO visits VALUES (1, 'ada', '{"k": 1}'), (2, 'bob', NULL);
SELECT unsealed_rows FROM audit.tree_head();
SELECT audit.seal() - :before AS leaves;
SELECT unsealed_rows, size - :before AS leaves, sealed_at > now() - interval '1 minute' AS just_now,
       length(root_hash) AS root_length FROM audit.tree_head();
-- a savepoint that was rolled back leaves nothing, one that was released does
BEGIN;
INSERT INTO visits VALUES (3, 'cy', NULL);
SAVEPOINT a;
INSERT INTO visits VALUES (4, 'dan', NULL);
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO visits VALUES (5, 'eve', NULL);
RELEASE b;
COMMIT;
BEGIN;
INSERT INTO visits VALUES (6, 'flo', NULL);
ROLLBACK;
-- a prepared transaction is sealed when it has ended, and not before
BEGIN;
INSERT INTO visits VALUES (7, 'gus', NULL);
PREPARE TRANSACTION 'ledger_seal';
SELECT unsealed_rows FROM audit.tree_head();
SELECT audit.seal() - :before AS leaves;
SELECT unsealed_rows FROM audit.tree_head();
COMMIT PREPARED 'ledger_seal';
SELECT unsealed_rows FROM audit.tree_head();
SELECT audit.seal() - :before AS leaves;
-- an event is a row, too
SELECT audit.disable_tracking('visits');
SELECT audit.enable_tracking('visits');
SELECT audit.seal() - :before AS leaves;
-- more than one chunk, and one call seals them all
INSERT INTO visits SELECT i, 'p' || i % 100, NULL FROM generate_series(1000, 70999) i;
SELECT audit.seal() - :before AS leaves;
SELECT chunk, is_last, kind, leaves FROM audit.seals ORDER BY seal_no DESC LIMIT 2;
-- each row has exactly one leaf, and each leaf a row
CREATE TEMP TABLE entries AS
    SELECT s.seal_no, e.* FROM audit.seals s CROSS JOIN LATERAL audit._entries(s.seal_no) e;
SELECT count(*) = count(DISTINCT (stream_no, number)) AS once, count(*) = count(DISTINCT leaf_index) AS one_leaf,
       count(*) + (SELECT count(*) FROM audit.seals) = (SELECT size FROM audit.tree_head()) AS all_leaves
    FROM entries;
SELECT (SELECT count(*) FROM audit.audit_log) - (SELECT count(*) FROM entries WHERE stream_no = 1) AS log_gap,
       (SELECT count(*) FROM audit.guard_events) - (SELECT count(*) FROM entries WHERE stream_no = 2) AS event_gap;
SELECT count(*) AS in_no_seal FROM audit.audit_log l
    WHERE NOT EXISTS (SELECT FROM entries e WHERE e.stream_no = 1 AND e.number = l.id
                      AND e.transaction_id = l.transaction_id);
-- seals follow each other without a gap
SELECT count(*) FILTER (WHERE s.seal_no <> s.place OR s.first_leaf <> s.before) AS gaps
    FROM (SELECT seal_no, row_number() OVER w AS place, first_leaf, lag(size_after, 1, 0::bigint) OVER w AS before
          FROM audit.seals WINDOW w AS (ORDER BY seal_no)) s;
SELECT count(*) AS wrong_lengths FROM audit.seals
    WHERE octet_length(leaf_hashes) <> 32 * leaves OR octet_length(root_after) <> 32
    OR size_after <> first_leaf + leaves OR NOT isfinite(sealed_at)
    OR (leaves > 1) <> (oldest_at IS NOT NULL AND newest_at >= oldest_at);
-- where it cannot be done
SELECT code, message, hint FROM t.try('SELECT audit.seal()');
BEGIN;
INSERT INTO visits VALUES (8, 'hal', NULL);
SELECT audit.seal();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT audit.seal();
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT audit.seal();
ROLLBACK;
-- who may
SET ROLE regress_app;
SELECT audit.seal();
SELECT size >= :before AS seen, unsealed_rows FROM audit.tree_head();
SELECT count(*) FROM audit.seals;
SELECT audit._seal_chunk();
SELECT count(*) FROM audit._entries(1);
SELECT audit._register_schemas();
RESET ROLE;
SET ROLE regress_admin;
SELECT audit.seal() >= :before AS done;
RESET ROLE;
-- what is sealed stays as it is, for superusers, too
SELECT code, message FROM unnest(ARRAY['UPDATE audit.seals SET size_after = 0', 'DELETE FROM audit.seals',
    'TRUNCATE audit.seals', 'DELETE FROM audit.ledger_subtrees', 'UPDATE audit.ledger_schemas SET definition = ''''',
    'DELETE FROM audit.ledger_incarnations', 'TRUNCATE audit.checkpoints', 'DELETE FROM audit.ledger_keys',
    'INSERT INTO audit.ledger_unsealed VALUES (1, 1, 1, 1)', 'DROP TABLE audit.verify_runs',
    'ALTER TABLE audit.seals DISABLE TRIGGER ALL']) s(command), t.try(s.command);
-- schemas are registered when they are needed, and say what docs/ledger-format.md says
SELECT definition FROM audit.ledger_schemas WHERE stream_no IN (2, 5) ORDER BY stream_no;
SELECT count(*) AS wrong FROM audit.ledger_schemas WHERE sha256 <> sha256(convert_to(definition, 'UTF8'));
SELECT stream_no, stream, number_column, time_column, erasable FROM audit.ledger_streams WHERE is_builtin
    ORDER BY stream_no;
SELECT check_name, ok, fix FROM audit.health() WHERE check_name IN ('ledger', 'identity');
SELECT in_force, fix FROM audit.guard_status() WHERE part = 'ledger';
RESET search_path;
SELECT audit.disable_tracking('sealed.visits', 'done');
DROP SCHEMA sealed CASCADE;
