-- Purpose: how long rows stay: what a retention may be, and how it is read from the triggers of a table.
-- Who may call: internal; audit_admin and audit_reader through protect, protected_tables and guard_status.
-- Relies on: 22_guard_tables.sql.

CREATE FUNCTION audit.enforce_retention() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'audit_enforce_retention';
COMMENT ON FUNCTION audit.enforce_retention() IS
    'trigger of a protected table, attached by protect: rows are never changed, and go when they are '
    'expired and not held; the policy is its arguments';

CREATE FUNCTION audit._extend_policy(trigger_id oid, retention interval) RETURNS void
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'extend_policy_wrapper';
COMMENT ON FUNCTION audit._extend_policy(oid, interval) IS
    'internal: makes the retention in a trigger''s arguments longer';

-- Kept by us from birth. A null is for ever: who decided what, and what was removed, must stay known.
CREATE FUNCTION audit._stream_policies()
RETURNS TABLE (stream regclass, timestamp_column name, retention interval)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT to_regclass('audit.' || v.stream), v.timestamp_column, v.retention
    FROM (VALUES ('audit_log', 'logged_at'::name, interval '7 years'),
                 ('denied_attempts', 'attempted_at', interval '1 year'),
                 ('security_events', 'logged_at', interval '7 years'),
                 ('guard_events', 'logged_at', NULL),
                 ('guard_policies', 'set_at', NULL),
                 ('hold_releases', 'released_at', NULL),
                 ('holds', 'placed_at', NULL)) v(stream, timestamp_column, retention)
    WHERE to_regclass('audit.' || v.stream) IS NOT NULL
$body$;
COMMENT ON FUNCTION audit._stream_policies() IS
    'internal: our append-only tables, how long their rows stay at least (null = for ever), and by which column';

-- Rows that somebody inserts into guard_policies can only make a retention longer: the one that reaches back
-- farthest counts.
CREATE FUNCTION audit._stream_retention(stream regclass) RETURNS interval
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT p.retention
    FROM (SELECT s.retention, false AS is_for_ever FROM audit._stream_policies() s
          WHERE s.stream = _stream_retention.stream AND s.retention IS NOT NULL
          UNION ALL
          SELECT g.retention, false
          FROM audit.guard_policies g
          JOIN pg_namespace n ON n.nspname = g.table_schema
          JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = g.table_name
          WHERE c.oid = _stream_retention.stream) p
    WHERE EXISTS (SELECT FROM audit._stream_policies() s
                  WHERE s.stream = _stream_retention.stream AND s.retention IS NOT NULL)
    ORDER BY now() AT TIME ZONE 'UTC' - p.retention
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._stream_retention(regclass) IS
    'internal: how long rows of one of our append-only tables stay; null = for ever';

-- Years have 365 or 366 days, months 28 to 31.
CREATE FUNCTION audit._length_in_days(retention interval, per_year integer, per_month integer) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT extract(year FROM retention) * per_year + extract(month FROM retention) * per_month
           + extract(day FROM retention)
           + (extract(hour FROM retention) * 3600 + extract(minute FROM retention) * 60
              + extract(second FROM retention)) / 86400
$body$;
COMMENT ON FUNCTION audit._length_in_days(interval, integer, integer) IS
    'internal: how many days an interval has, with years and months of a given length';

-- Two retentions cannot always be compared: seven years are not surely longer than 2556 days. What is not
-- surely longer counts as shorter.
CREATE FUNCTION audit._compare_retention(wanted interval, present interval) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE
        WHEN l.wanted_months = l.present_months AND l.wanted_days = l.present_days THEN 'equal'
        WHEN (l.wanted_months >= l.present_months AND l.wanted_days >= l.present_days)
             OR audit._length_in_days(wanted, 365, 28) >= audit._length_in_days(present, 366, 31) THEN 'longer'
        ELSE 'shorter' END
    FROM (SELECT extract(year FROM wanted) * 12 + extract(month FROM wanted),
                 extract(year FROM present) * 12 + extract(month FROM present),
                 audit._length_in_days(wanted, 0, 0), audit._length_in_days(present, 0, 0)
         ) l(wanted_months, present_months, wanted_days, present_days)
$body$;
COMMENT ON FUNCTION audit._compare_retention(interval, interval) IS
    'internal: whether a retention is equal to another one, or longer in every calendar; else shorter';

-- More than a thousand years would lead to times that the server does not know.
CREATE FUNCTION audit._is_retention(retention interval) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT isfinite(retention)
           AND least(extract(year FROM retention), extract(month FROM retention),
                     extract(day FROM retention), extract(hour FROM retention),
                     extract(minute FROM retention), extract(second FROM retention)) >= 0
           AND audit._length_in_days(retention, 365, 28) >= 1
           AND audit._length_in_days(retention, 366, 31) <= 366 * 1000
$body$;
COMMENT ON FUNCTION audit._is_retention(interval) IS
    'internal: whether rows can be kept for this long: a day to a thousand years, no part negative';

CREATE FUNCTION audit._check_retention(target regclass, retention interval, called text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := format('SELECT audit.%I(%L, ''7 years'');', called, target::text);
BEGIN
    IF retention IS NULL THEN
        RAISE EXCEPTION 'retention must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF NOT audit._is_retention(retention) THEN
        RAISE EXCEPTION 'retention of % must be one day to 1000 years, and no part of it negative', target
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_retention(regclass, interval, text) IS
    'internal: refuses what is no length of time to keep rows for; the hint repeats the call';

-- The three types that say when; a domain counts as what it is made of.
CREATE FUNCTION audit._time_type(type_id oid) RETURNS regtype
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH RECURSIVE base(oid) AS (
        SELECT _time_type.type_id
        UNION ALL
        SELECT t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
    )
    SELECT b.oid::regtype FROM base b
    WHERE b.oid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
$body$;
COMMENT ON FUNCTION audit._time_type(oid) IS
    'internal: timestamptz, timestamp or date, when that is what the type is; else null';

CREATE FUNCTION audit._retention_triggers(target regclass)
RETURNS TABLE (trigger_id oid, trigger_name name, is_row boolean, is_clone boolean)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT t.oid, t.tgname, t.tgtype & 1 = 1, t.tgparentid <> 0
    FROM pg_trigger t
    WHERE t.tgrelid = _retention_triggers.target AND t.tgfoid = 'audit.enforce_retention()'::regprocedure
    ORDER BY t.oid
$body$;
COMMENT ON FUNCTION audit._retention_triggers(regclass) IS
    'internal: the triggers of one table that protect it';

CREATE FUNCTION audit._trigger_values(trigger_id oid) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT array_agg(convert_from(substr(z.arguments, z.starts, z.stops - z.starts), getdatabaseencoding())
                     ORDER BY z.stops)
    FROM (SELECT t.tgargs AS arguments, b.place AS stops,
                 lag(b.place, 1, 0) OVER (ORDER BY b.place) + 1 AS starts
          FROM pg_trigger t
          CROSS JOIN LATERAL generate_series(1, length(t.tgargs)) b(place)
          WHERE t.oid = _trigger_values.trigger_id AND get_byte(t.tgargs, b.place - 1) = 0) z
$body$;
COMMENT ON FUNCTION audit._trigger_values(oid) IS 'internal: the arguments of a trigger';

-- Read as the trigger itself reads it. A column is stored as name#number@table: on the table on which it was
-- chosen, the number says whether the name still means the same. What cannot be read is null. A retention of
-- another form than protect writes is not read: anybody may attach the trigger to a table of theirs.
CREATE FUNCTION audit._policy(
    trigger_id oid, OUT retention interval, OUT timestamp_column name, OUT time_type regtype)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN p.retention ~ '^P([0-9]{1,5}Y)?([0-9]{1,5}M)?([0-9]{1,6}D)?'
                                   '(T([0-9]{1,7}H)?([0-9]{1,2}M)?([0-9]{1,2}([.][0-9]{1,6})?S)?)?$'
                THEN CASE WHEN audit._is_retention(p.retention::interval) THEN p.retention::interval END END,
           a.attname, audit._time_type(a.atttypid)
    FROM (SELECT t.tgrelid,
                 max(substr(v.argument, 11)) FILTER (WHERE starts_with(v.argument, 'retention=')) AS retention,
                 regexp_match(max(substr(v.argument, 11)) FILTER (WHERE starts_with(v.argument, 'timestamp=')),
                              '^(.*)#([0-9]+)@([0-9]+)$') AS wanted
          FROM pg_trigger t
          CROSS JOIN LATERAL unnest(audit._trigger_values(t.oid)) v(argument)
          WHERE t.oid = _policy.trigger_id
          GROUP BY t.tgrelid) p
    LEFT JOIN pg_attribute a ON a.attrelid = p.tgrelid AND a.attname = p.wanted[1] AND NOT a.attisdropped
                                AND (p.wanted[3] <> p.tgrelid::text OR p.wanted[2] = a.attnum::text)
                                AND audit._time_type(a.atttypid) IS NOT NULL
$body$;
COMMENT ON FUNCTION audit._policy(oid) IS
    'internal: how long a protected table keeps its rows, and by which column, as its trigger says';

CREATE FUNCTION audit._protected_as(target regclass) RETURNS regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT a.relid
    FROM (SELECT _protected_as.target, 0
          UNION ALL
          SELECT p.relid, p.steps
          FROM pg_partition_ancestors(_protected_as.target) WITH ORDINALITY p(relid, steps)
         ) a(relid, steps)
    WHERE EXISTS (SELECT FROM audit._retention_triggers(a.relid) t WHERE t.is_row AND NOT t.is_clone)
    ORDER BY a.steps DESC
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._protected_as(regclass) IS
    'internal: the table whose protection covers a table: itself, or one that it is a partition of; null: none';

CREATE FUNCTION audit._stream_of(target regclass) RETURNS regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT s.stream
    FROM audit._stream_policies() s
    WHERE s.stream = target
       OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = target AND i.inhparent = s.stream)
$body$;
COMMENT ON FUNCTION audit._stream_of(regclass) IS
    'internal: the append-only table of ours that a table is, or is a leaf of; null: none';

-- Runs with our owner's rights, so that whoever may see the list needs no right on guard_policies.
CREATE FUNCTION audit._protected()
RETURNS TABLE (target regclass, is_stream boolean, trigger_id oid, retention interval, timestamp_column name,
               time_type regtype)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT s.stream, true, NULL::oid, audit._stream_retention(s.stream), s.timestamp_column,
           'timestamptz'::regtype
    FROM audit._stream_policies() s
    UNION ALL
    SELECT t.tgrelid::regclass, false, t.oid, p.retention, p.timestamp_column, p.time_type
    FROM pg_trigger t
    CROSS JOIN LATERAL audit._policy(t.oid) p
    WHERE t.tgfoid = 'audit.enforce_retention()'::regprocedure AND t.tgparentid = 0 AND t.tgtype & 1 = 1
$body$;
COMMENT ON FUNCTION audit._protected() IS
    'internal: all tables whose rows are kept, ours and those of users, and for how long';
