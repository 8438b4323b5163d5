-- declare_discontinuity: rows that no seal can have otherwise are sealed under a new name of the tree.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA gap;
CREATE TABLE gap.visits (id integer PRIMARY KEY);
SELECT audit.enable_tracking('gap.visits');
INSERT INTO gap.visits SELECT generate_series(1, 5);
SELECT audit.seal() > 0 AS done;
SELECT state, why FROM audit._identity();
-- rows of long ago that were loaded: their transactions are none of this database
BEGIN;
SELECT audit.begin_restore('the log of another server');
INSERT INTO audit.audit_log (transaction_id, operation, table_schema, table_name, record_id, new_record, actor_role,
    login_role) SELECT 2 + i, 'INSERT', 'gap', 'loaded', i::text, '{}', 'a', 'a' FROM generate_series(1, 3) i;
COMMIT;
SELECT code, stream, regexp_replace(regexp_replace(detail, 'transaction \d+', 'transaction N'),
                                    '; (authorised|expired) [^;]*', '', 'g') AS detail FROM audit.verify(workers => 0);
SELECT size AS before, origin AS old_origin FROM audit.tree_head() \gset
-- what is refused
SELECT code, message FROM unnest(ARRAY['NULL', quote_literal(' ')]) a(reason),
    t.try(format('SELECT audit.declare_discontinuity(%s)', a.reason));
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT audit.declare_discontinuity('restored');
ROLLBACK;
SET ROLE regress_app;
SELECT audit.declare_discontinuity('restored');
SELECT audit._begin_incarnation('first', NULL, '1:1:', '{}');
RESET ROLE;
-- declared by an admin, in a transaction that has written before
BEGIN;
INSERT INTO gap.visits VALUES (6);
SET LOCAL ROLE regress_admin;
SELECT audit.declare_discontinuity('loaded the log of another server') <> :'old_origin' AS new_origin;
RESET ROLE;
INSERT INTO gap.visits VALUES (7);
COMMIT;
SELECT kind, reason, floors -> '1' IS NOT NULL AS has_floors FROM audit.ledger_incarnations
    ORDER BY incarnation DESC LIMIT 1;
SELECT object = origin AS object, reason, detail ->> 'size' = :'before' AS size, detail ->> 'unsealed_rows' AS unsealed,
       detail ->> 'origin_before' = :'old_origin' AS origin_before, detail -> 'checkpoint' AS checkpoint
    FROM audit.guard_events, audit.tree_head() WHERE kind = 'discontinuity_declared' ORDER BY id DESC LIMIT 1;
-- three loaded rows, the row of before; then the event, the row of after
SELECT unsealed_rows FROM audit.tree_head();
SELECT audit.seal() - :before AS leaves;
SELECT unsealed_rows, origin = :'old_origin' AS old_name FROM audit.tree_head();
SELECT kind, leaves, is_last FROM audit.seals ORDER BY seal_no DESC LIMIT 2;
SELECT count(*) AS in_no_seal FROM audit.audit_log l
    WHERE NOT EXISTS (SELECT FROM audit.seals s, audit._entries(s.seal_no) e
                      WHERE e.stream_no = 1 AND e.number = l.id AND e.transaction_id = l.transaction_id);
SELECT code, stream, leaf_index - :before AS leaf, regexp_replace(regexp_replace(detail, ' at .* UTC', ' at T'),
       '; (authorised|expired) [^;]*', '', 'g') AS detail FROM audit.verify(workers => 0);
SELECT code FROM audit.verify(workers => 2);
-- of a row of after it, the number is higher than of all before
SELECT min(l.id) > (SELECT (floors ->> '1')::bigint FROM audit.ledger_incarnations ORDER BY incarnation DESC LIMIT 1)
    AS above FROM audit.audit_log l WHERE l.record_id = '7' AND l.table_schema = 'gap' AND l.table_name = 'visits';
-- a row that is slipped in below the floor is found
BEGIN;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER TABLE audit.audit_log DISABLE TRIGGER immutable_statement;
INSERT INTO audit.audit_log SELECT (jsonb_populate_record(l, jsonb_build_object('id', 0, 'transaction_id', -7))).*
    FROM audit.audit_log l WHERE l.table_name = 'loaded' AND l.transaction_id = 3;
INSERT INTO audit.audit_log SELECT (jsonb_populate_record(l, jsonb_build_object('id', -1,
    'transaction_id', pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 5))).*
    FROM audit.audit_log l WHERE l.table_name = 'loaded' AND l.transaction_id = 3;
SELECT code, stream, id FROM audit.verify(workers => 0) WHERE code = 'orphan' AND stream IS NOT NULL ORDER BY id;
ROLLBACK;
-- without anything to seal, and twice
SELECT audit.declare_discontinuity('to be sure') ~ '/[0-9]+$' AS numbered;
SELECT audit.declare_discontinuity('to be quite sure') ~ '/[0-9]+$' AS numbered;
SELECT unsealed_rows FROM audit.tree_head();
SELECT audit.seal() > 0 AS done;
SELECT unsealed_rows FROM audit.tree_head();
SELECT DISTINCT code FROM audit.verify();
SELECT check_name, ok FROM audit.health() WHERE check_name IN ('ledger', 'identity');
-- a copy of the database, and one that was loaded row by row, do not go on
BEGIN;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER TABLE audit.ledger_incarnations DISABLE TRIGGER immutable_row;
ALTER TABLE audit.ledger_incarnations DISABLE TRIGGER immutable_statement;
SAVEPOINT s;
UPDATE audit.ledger_incarnations SET database_oid = database_oid + 1;
SELECT state, why FROM audit._identity();
SELECT check_name, ok, regexp_replace(detail, ' at .* UTC', ' at T') AS detail, fix
    FROM audit.health() WHERE check_name IN ('ledger', 'identity');
SELECT in_force, fix FROM audit.guard_status() WHERE part = 'ledger';
ROLLBACK TO s;
UPDATE audit.ledger_incarnations SET system_identifier = system_identifier + 1;
SELECT state, why FROM audit._identity();
ROLLBACK TO s;
ALTER TABLE audit.seals DISABLE TRIGGER immutable_row;
ALTER TABLE audit.seals DISABLE TRIGGER immutable_statement;
UPDATE audit.seals SET sealed_at = sealed_at;
SELECT state, why FROM audit._identity();
ROLLBACK;
SELECT audit.disable_tracking('gap.visits', 'done');
DROP SCHEMA gap CASCADE;
