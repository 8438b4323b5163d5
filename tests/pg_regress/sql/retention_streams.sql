-- Retention of our own tables: whole months go, oldest first, and no time is left without a leaf.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
SELECT count(*) >= 0 AS done FROM audit.maintain_partitions();
-- rolled back, because other tests count on the leaves that there are
BEGIN;
CREATE ROLE regress_officer;
GRANT audit_officer TO regress_officer;
-- months as they would be there after more than seven years, and rows in them
SET LOCAL ROLE audit_owner;
SELECT audit._make_past_months('audit.audit_log', now() - interval '7 years 4 months');
RESET ROLE;
SELECT audit.begin_restore('a log of long ago');
CREATE FUNCTION t.old_rows(months_ago integer, actor text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit.audit_log (logged_at, transaction_id, operation, table_schema, table_name, record_id,
        new_record, actor_id, actor_role, login_role)
    SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - months_ago * interval '1 month'
            + i * interval '1 hour') AT TIME ZONE 'UTC', i, 'INSERT', 'old', 'visits', i::text, '{}', actor,
           'a', 'a' FROM generate_series(1, 3) i $$;
-- months are named by how long ago they were
CREATE FUNCTION t.ago(text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(regexp_replace($1, '\d{4}_\d{2}', (
        SELECT 'M-' || extract(year FROM a.gap) * 12 + extract(month FROM a.gap)
        FROM age(date_trunc('month', now() AT TIME ZONE 'UTC'),
                 to_timestamp(substring($1 FROM '\d{4}_\d{2}'), 'YYYY_MM')::timestamp) a(gap))), $1) $$;
CREATE FUNCTION t.leaves() RETURNS TABLE (leaf text, row_count bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR leaf IN SELECT l.leaf::text FROM audit._leaves('audit.audit_log') l
                WHERE l.upper_bound < now() - interval '6 years 11 months' ORDER BY l.upper_bound LOOP
        EXECUTE format('SELECT count(*) FROM %s', leaf) INTO row_count;
        leaf := t.ago(leaf);
        RETURN NEXT;
    END LOOP;
END $$;
SELECT t.old_rows(m, 'ada') FROM unnest('{95,90,88,86,85,84}'::integer[]) m;
SELECT t.old_rows(87, 'bob');
SELECT * FROM t.leaves();
SELECT kind, retention, rows_expired, rows_held, t.ago(action) AS action, certificate_id, more,
       oldest < now() - interval '7 years 10 months' AS oldest, newest IS NOT NULL AS newest
    FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
-- a hold on one row keeps its month
SET LOCAL ROLE regress_officer;
SELECT audit.place_hold('audit.audit_log', 'court', subject => 'BOB') AS held \gset
RESET ROLE;
SET LOCAL ROLE regress_admin;
SELECT rows_expired, rows_held, t.ago(action) AS action, more FROM audit.retention_plan()
    WHERE relation = 'audit.audit_log';
-- archive first: nothing goes, and that is said
RESET ROLE;
SET LOCAL audit_guard.archive_before_drop = on;
SELECT rows_expired, rows_held, action, more FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
SELECT action, more FROM audit.apply_retention();
SELECT code, message FROM t.try($$SELECT audit._drop_leaf('audit.audit_log_past')$$);
SET LOCAL audit_guard.archive_before_drop = off;
SET LOCAL ROLE regress_admin;
SELECT code, message FROM t.try('SET LOCAL audit_guard.archive_before_drop = on');
-- one leaf in each step
CREATE FUNCTION pg_temp.step() RETURNS TABLE (relation text, kind text, rows_expired bigint, action text,
    certified boolean, more boolean) LANGUAGE sql AS $$
    SELECT a.relation, a.kind, a.rows_expired, t.ago(a.action), a.certificate_id IS NOT NULL, a.more
    FROM audit.apply_retention() a $$;
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
RESET ROLE;
SELECT * FROM t.leaves();
SELECT count(*) AS gaps FROM audit._missing_leaves('audit.audit_log');
-- released, the month goes, and the empty one behind it joins the past
SET LOCAL ROLE regress_officer;
SELECT audit.release_hold(:held, 'settled');
SET LOCAL ROLE regress_admin;
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
SELECT * FROM pg_temp.step();
RESET ROLE;
SELECT * FROM t.leaves();
SELECT count(*) AS gaps FROM audit._missing_leaves('audit.audit_log');
SELECT count(*) FROM audit.maintain_partitions();
SELECT count(*) FILTER (WHERE NOT ok) AS faults FROM audit.health();
SELECT count(*) FILTER (WHERE NOT in_force) AS faults FROM audit.guard_status() WHERE part = 'stream';
-- what went is certified, for ever
SELECT t.ago(detail ->> 'leaf') AS leaf, detail ->> 'rows' AS rows, detail ->> 'retention' AS retention,
       (detail ->> 'oldest')::timestamptz >= (detail ->> 'from')::timestamptz AS from_ok,
       (detail ->> 'newest')::timestamptz < (detail ->> 'to')::timestamptz AS to_ok, actor_role, reason
    FROM audit.guard_events WHERE kind = 'partition_expired' ORDER BY id;
SELECT relation, pid, steps, rows_removed, finished_at IS NOT NULL AS finished, blocks_total,
       t.ago(last_action) AS last_action
    FROM audit.retention_progress;
-- kept for longer, what would have gone stays
SET LOCAL ROLE regress_admin;
SELECT audit.extend_retention('audit.audit_log', '8 years');
RESET ROLE;
SELECT t.old_rows(96, 'ada'), t.old_rows(95, 'ada');
SELECT rows_expired, t.ago(action) AS action FROM audit.retention_plan() WHERE relation = 'audit.audit_log';
-- nobody drops, detaches or empties a leaf, or calls what does
SET LOCAL ROLE regress_admin;
SELECT code, message FROM t.try($$SELECT audit._drop_leaf('audit.audit_log_past')$$);
SELECT code, message FROM t.try($$SELECT audit._certify_leaf('1')$$);
SELECT code, message FROM t.try(
    $$SELECT audit._rebound_leaf('audit.audit_log', 'audit.audit_log_past', 'x', NULL, NULL)$$);
SELECT code, message FROM t.try(
    $$SELECT audit._delete_expired('audit.audit_log', 'DELETE FROM audit.audit_log')$$);
RESET ROLE;
-- not even a superuser, by our own functions, what is not expired, held, or no leaf
SELECT code, message, hint FROM t.try(format('SELECT audit._drop_leaf(%L)', t.hot_leaf()));
SELECT code, message FROM t.try($$SELECT audit._drop_leaf('audit.audit_log_past')$$);
SELECT code, message FROM t.try($$SELECT audit._drop_leaf('audit.guard_events')$$);
SELECT code, message FROM t.try($$SELECT audit._drop_leaf('audit.audit_log')$$);
SELECT code, message FROM t.try($$SELECT audit._drop_leaf('pg_class')$$);
ROLLBACK;
-- denied attempts go after a year
SELECT relation, kind, retention, action FROM audit.retention_plan() WHERE kind = 'stream'
    AND relation <> 'audit.audit_log' ORDER BY relation;
