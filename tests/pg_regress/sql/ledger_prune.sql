-- Retention and the ledger: what is not sealed stays, and what went is accounted for.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
SELECT count(*) >= 0 AS done FROM audit.maintain_partitions();
CREATE SCHEMA prune;
CREATE TABLE prune.visits (id integer PRIMARY KEY);
SELECT audit.enable_tracking('prune.visits');
SELECT audit.seal() > 0 AS done;
-- months as they would be there after more than seven years; they stay, so that what is here can be sealed
SET ROLE audit_owner;
SELECT audit._make_past_months('audit.audit_log', now() - interval '7 years 4 months');
RESET ROLE;
-- Months are named by how long ago they were; a row carries the number of the transaction that loads it.
CREATE FUNCTION prune.month_at(months_ago integer) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - months_ago * interval '1 month') AT TIME ZONE 'UTC' $$;
CREATE FUNCTION prune.load(months_ago integer, rows integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit.audit_log (logged_at, transaction_id, operation, table_schema, table_name, record_id,
        new_record, actor_role, login_role)
    SELECT prune.month_at(months_ago) + i * interval '1 hour', pg_current_xact_id()::text::bigint, 'INSERT', 'old',
           'visits', i::text, '{}', 'a', 'a' FROM generate_series(1, rows) i $$;
CREATE FUNCTION prune.ago(text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(regexp_replace($1, '\d{4}_\d{2}', (
        SELECT 'M-' || extract(year FROM a.gap) * 12 + extract(month FROM a.gap)
        FROM age(date_trunc('month', now() AT TIME ZONE 'UTC'),
                 to_timestamp(substring($1 FROM '\d{4}_\d{2}'), 'YYYY_MM')::timestamp) a(gap))), $1) $$;
BEGIN;
SELECT audit.begin_restore('a log of long ago');
SELECT prune.load(88, 3), prune.load(87, 4), prune.load(86, 5);
COMMIT;
-- nothing of it is sealed, so nothing of it goes
SELECT prune.ago(leaf::text) AS leaf, has_rows, is_held, waits_for FROM audit._expired_leaves('audit.audit_log')
    WHERE has_rows;
SELECT rows_expired, action, more FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
SELECT action FROM audit.apply_retention();
SELECT code, message FROM audit._expired_leaves('audit.audit_log') l,
    t.try(format('SELECT audit._drop_leaf(%L)', l.leaf)) WHERE l.has_rows;
SELECT audit.seal() > 0 AS done;
SELECT rows_expired, prune.ago(action) AS action, more FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
SELECT code, detail ~ 'expired rows' AS mentioned FROM audit.verify();
-- archive first: only what an export covers
BEGIN;
SET LOCAL audit_guard.archive_before_drop = on;
SELECT rows_expired, action, more FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
SELECT action, more FROM audit.apply_retention();
SELECT audit.record_export(0, 1, audit._tree_root(1), 'half of it') > 0 AS noted;
SELECT rows_expired, action, more FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
SELECT audit.record_export(1, size, decode(root_hash, 'base64'), 'the other half') > 0 AS noted FROM audit.tree_head();
SELECT rows_expired, prune.ago(action) AS action, more FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
ROLLBACK;
-- two months go; the certificates account for them
SELECT prune.ago(action) AS action, rows_expired FROM audit.apply_retention();
SELECT code, detail ~ 'expired rows that left: audit_log 3' AS accounted FROM audit.verify();
SELECT prune.ago(action) AS action, rows_expired FROM audit.apply_retention();
SELECT code, detail ~ 'expired rows that left: audit_log 7' AS accounted FROM audit.verify();
SELECT audit.seal() > 0 AS done;
SELECT code, detail ~ 'expired rows that left: audit_log 7' AS accounted FROM audit.verify();
SELECT code FROM audit.verify(stream => 'audit_log', until => prune.month_at(86));
-- a superuser who removes rows and says that they had expired, or too many, or too early
BEGIN;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER TABLE audit.guard_events DISABLE TRIGGER immutable_row;
ALTER TABLE audit.guard_events DISABLE TRIGGER immutable_statement;
SAVEPOINT s;
DELETE FROM audit.guard_events WHERE kind = 'partition_expired';
SELECT code, stream, count(*) FROM audit.verify() WHERE stream IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK TO s;
UPDATE audit.guard_events SET detail = detail || '{"rows": 2}' WHERE kind = 'partition_expired'
    AND (detail ->> 'rows')::integer = 3;
SELECT code, stream, regexp_replace(detail, 'certificate \d+', 'certificate N') AS detail FROM audit.verify()
    WHERE stream IS NOT NULL ORDER BY 1, 2;
ROLLBACK TO s;
UPDATE audit.guard_events SET logged_at = logged_at - interval '1 year' WHERE kind = 'partition_expired'
    AND (detail ->> 'rows')::integer = 4;
SELECT code, stream, regexp_replace(detail, 'certificate \d+', 'certificate N') AS detail FROM audit.verify()
    WHERE stream IS NOT NULL ORDER BY 1, 2;
ROLLBACK;
SELECT code FROM audit.verify();
-- what is left goes, too, and the months close again
SELECT prune.ago(action) AS action FROM audit.apply_retention();
SELECT audit.disable_tracking('prune.visits', 'done');
DROP SCHEMA prune CASCADE;
