-- Purpose: what has expired, what stays because of a hold, and whether the clock can be believed.
-- Who may call: audit_reader calls retention_plan, audit_admin confirm_clock; the rest is internal.
-- Relies on: 24_policies.sql, 32_holds.sql; when they are called, on 40_partitions.sql.

CREATE FUNCTION audit._drop_leaf(leaf regclass) RETURNS bigint
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'drop_leaf_wrapper';
COMMENT ON FUNCTION audit._drop_leaf(regclass) IS
    'internal: drops an expired leaf of a stream for which _certify_leaf gives a certificate, and returns its '
    'number';

CREATE FUNCTION audit._delete_expired(target regclass, query text) RETURNS bigint
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'delete_expired_wrapper';
COMMENT ON FUNCTION audit._delete_expired(regclass, text) IS
    'internal: runs a DELETE with the rights of the table''s owner, and returns the number of its certificate';

CREATE FUNCTION audit._read_as_owner(target regclass, query text) RETURNS text
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'read_as_owner_wrapper';
COMMENT ON FUNCTION audit._read_as_owner(regclass, text) IS
    'internal: the first value that a query gives with the rights of a table''s owner';

-- Calendar arithmetic in UTC, the same as the triggers do. A time without a zone counts as the latest moment
-- that it can mean.
CREATE FUNCTION audit._expired_until(retention interval, time_type regtype) RETURNS timestamp
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT (now() AT TIME ZONE 'UTC') - retention
           - CASE time_type WHEN 'date'::regtype THEN interval '36 hours'
                            WHEN 'timestamp'::regtype THEN interval '12 hours' ELSE interval '0' END
$body$;
COMMENT ON FUNCTION audit._expired_until(interval, regtype) IS
    'internal: a row is expired when its time, in UTC, is not later than this';

CREATE FUNCTION audit._expired_condition(retention interval, timestamp_column name, time_type regtype)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
    SELECT CASE
        WHEN time_type = 'timestamptz'::regtype
        THEN format('r.%I <= %L::timestamptz', timestamp_column, u.until AT TIME ZONE 'UTC')
        ELSE format('r.%I <= %L::timestamp', timestamp_column, u.until) END
    FROM audit._expired_until(retention, time_type) u(until)
$body$;
COMMENT ON FUNCTION audit._expired_condition(interval, name, regtype) IS
    'internal: the condition in SQL under which a row r is expired; null when no row ever is';

-- What a restore with --no-owner left to another role cannot be read, and stays; health() and guard_status()
-- say so.
CREATE FUNCTION audit._own_leaves(stream regclass)
RETURNS TABLE (leaf regclass, lower_bound timestamptz, upper_bound timestamptz)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN QUERY
        SELECT l.* FROM audit._leaves(stream) l JOIN pg_class c ON c.oid = l.leaf
        WHERE c.relowner = 'audit_owner'::regrole
        ORDER BY l.lower_bound NULLS FIRST;
END
$body$;
COMMENT ON FUNCTION audit._own_leaves(regclass) IS
    'internal: the leaves of a stream that belong to us, in order of time';

-- Once anything was sealed, only what is sealed may go: a row that left before would never be proven. What is
-- noted in ledger_unsealed is waiting until the batch that seals it is complete.
CREATE FUNCTION audit._is_leaf_sealed(stream regclass, leaf regclass) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
DECLARE
    here record;
    stream_no smallint;
    is_waiting boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM audit.seals) THEN
        RETURN true;
    END IF;
    here := audit._ledger_position();
    SELECT s.stream_no INTO stream_no
    FROM audit.ledger_streams s WHERE format('%I.%I', s.table_schema, s.table_name)::regclass = _is_leaf_sealed.stream;
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM %1$s r '
        '               WHERE r.transaction_id >= $1 AND r.%2$I > $2 '
        '                 AND (r.transaction_id >= $3 '
        '                      OR NOT pg_visible_in_snapshot(r.transaction_id::text::xid8, $4))) '
        '    OR $5 > 0 AND EXISTS (SELECT FROM %1$s r JOIN audit.ledger_unsealed u '
        '                          ON u.incarnation = $6 AND u.stream_no = $7 '
        '                             AND u.transaction_id = r.transaction_id AND u.number = r.%2$I)', leaf,
        audit._number_column(stream))
    INTO is_waiting
    USING pg_snapshot_xmin(here.window_start)::text::bigint,
          coalesce(audit._floor(here.floors, stream_no), -9223372036854775808),
          pg_snapshot_xmax(here.window_start)::text::bigint, here.window_start, here.closing_rows,
          here.incarnation, stream_no;
    RETURN NOT is_waiting;
END
$body$;
COMMENT ON FUNCTION audit._is_leaf_sealed(regclass, regclass) IS
    'internal: whether no row of a leaf is waiting to be sealed; also true while nothing is sealed at all';

CREATE FUNCTION audit._is_exported(since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (
        SELECT coalesce((SELECT range_agg(int8range(e.from_size, e.to_size)) FROM audit.ledger_exports e)
                        @> range_agg(int8range(s.first_leaf, s.size_after)), false)
        FROM audit.seals s
        WHERE (since IS NULL OR s.newest_at >= since) AND s.oldest_at < until);
END
$body$;
COMMENT ON FUNCTION audit._is_exported(timestamptz, timestamptz) IS
    'internal: whether exports cover all seals with rows of a span of time';

-- The leaves of a stream that lie before its retention, and what stands against dropping each of them.
CREATE FUNCTION audit._expired_leaves(stream regclass)
RETURNS TABLE (leaf regclass, lower_bound timestamptz, upper_bound timestamptz, has_rows boolean,
               is_held boolean, waits_for text)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    cut_off constant timestamptz :=
        audit._expired_until(audit._stream_retention(stream), 'timestamptz') AT TIME ZONE 'UTC';
    held constant text := audit._hold_condition(stream::oid::text);
BEGIN
    FOR leaf, lower_bound, upper_bound IN
        SELECT l.leaf, l.lower_bound, l.upper_bound
        FROM audit._own_leaves(stream) l WHERE l.upper_bound <= cut_off ORDER BY l.upper_bound
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s), EXISTS (SELECT FROM %1$s r WHERE %s)', leaf,
                       coalesce(nullif(held, ''), 'false'))
        INTO has_rows, is_held;
        waits_for := CASE
            WHEN NOT has_rows OR is_held THEN NULL
            WHEN NOT audit._is_leaf_sealed(stream, leaf) THEN 'not all rows are sealed: SELECT audit.seal();'
            WHEN audit._is_archived_first() AND NOT audit._is_exported(lower_bound, upper_bound)
            THEN 'audit_guard.archive_before_drop is on, and no export covers it' END;
        RETURN NEXT;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._expired_leaves(regclass) IS
    'internal: the leaves of a stream whose rows are all expired, oldest first';

-- An empty leaf goes only when it lies next to the past leaf, which then takes its place. Elsewhere it would
-- have to be made again.
CREATE FUNCTION audit._next_leaf(stream regclass) RETURNS regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT l.leaf
    FROM audit._expired_leaves(stream) l
    WHERE NOT l.is_held AND l.waits_for IS NULL
      AND (l.has_rows
           OR l.lower_bound IN (SELECT past.upper_bound FROM audit._leaves(stream) past
                                WHERE past.lower_bound IS NULL))
    ORDER BY l.upper_bound
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._next_leaf(regclass) IS
    'internal: the leaf of a stream that retention drops next; null: none';

CREATE FUNCTION audit._is_archived_first() RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    -- The library that defines the setting must be loaded first: until then anybody could have set the name.
    PERFORM audit.version();
    RETURN coalesce(current_setting('audit_guard.archive_before_drop', true), 'off')::boolean;
END
$body$;
COMMENT ON FUNCTION audit._is_archived_first() IS
    'internal: whether only what was exported before may be removed';

-- A table and its partitions, as far as they hold rows themselves.
CREATE FUNCTION audit._parts(target regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT c.oid::regclass
    FROM (SELECT _parts.target UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relid)
    JOIN pg_class c ON c.oid = r.relid
    WHERE c.relkind = 'r'
$body$;
COMMENT ON FUNCTION audit._parts(regclass) IS 'internal: a table, or its partitions, that hold rows';

CREATE FUNCTION audit._blocks(target regclass) RETURNS bigint
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT (coalesce(sum(pg_relation_size(p.part)), 0) / current_setting('block_size')::bigint)::bigint
    FROM audit._parts(target) p(part)
$body$;
COMMENT ON FUNCTION audit._blocks(regclass) IS 'internal: the size of a table and its partitions, in blocks';

CREATE FUNCTION audit._leads_to_oldest(part regclass, timestamp_column name) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT EXISTS (
        SELECT FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am m ON m.oid = c.relam
        WHERE i.indrelid = part AND a.attname = timestamp_column AND i.indisvalid AND i.indpred IS NULL
          AND m.amname = 'btree')
$body$;
COMMENT ON FUNCTION audit._leads_to_oldest(regclass, name) IS
    'internal: whether an index of a table begins with its time';

-- Found without reading the table: by an index, else in the last blocks. Of what a time without a zone can
-- mean, the earliest.
CREATE FUNCTION audit._newest_of_table(target regclass, timestamp_column name, time_type regtype)
RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
DECLARE
    part regclass;
    newest timestamptz;
BEGIN
    FOR part IN SELECT p.part FROM audit._parts(target) p(part) LOOP
        newest := greatest(newest, audit._read_as_owner(target, format(
            'SELECT max(r.%1$I)::text FROM ONLY %2$s AS r WHERE r.%1$I < ''infinity'' AND %3$s',
            timestamp_column, part,
            CASE WHEN audit._leads_to_oldest(part, timestamp_column) THEN 'true'
                 ELSE format('r.ctid >= ''(%s,0)''', greatest(audit._blocks(part) - 16, 0)) END))::timestamptz);
    END LOOP;
    RETURN newest - CASE WHEN time_type = 'timestamptz'::regtype THEN interval '0' ELSE interval '14 hours' END;
END
$body$;
COMMENT ON FUNCTION audit._newest_of_table(regclass, name, regtype) IS
    'internal: the newest time in a protected table of a user, as far as it is quickly found';

-- The log is written in the order of its numbers, so the last number of the last leaf that has rows will do.
CREATE FUNCTION audit._newest_of_stream(stream regclass, timestamp_column name) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    leaf regclass;
    newest timestamptz;
BEGIN
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = stream) = 'r' THEN
        EXECUTE format('SELECT max(r.%I) FROM %s r', timestamp_column, stream) INTO newest;
        RETURN newest;
    END IF;
    FOR leaf IN SELECT l.leaf FROM audit._own_leaves(stream) l ORDER BY l.lower_bound DESC NULLS LAST LOOP
        EXECUTE format('SELECT r.%I FROM %s r ORDER BY r.transaction_id DESC, r.%I DESC LIMIT 1',
                       timestamp_column, leaf, audit._number_column(stream)) INTO newest;
        EXIT WHEN newest IS NOT NULL;
    END LOOP;
    RETURN newest;
END
$body$;
COMMENT ON FUNCTION audit._newest_of_stream(regclass, name) IS
    'internal: the time of the row of a stream that was written last';

CREATE FUNCTION audit._newest_rows() RETURNS TABLE (relation text, newest timestamptz)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT p.target::text,
           CASE WHEN p.is_stream THEN audit._newest_of_stream(p.target, p.timestamp_column)
                WHEN p.time_type IS NOT NULL
                THEN audit._newest_of_table(p.target, p.timestamp_column, p.time_type) END
    FROM audit._protected() p
$body$;
COMMENT ON FUNCTION audit._newest_rows() IS 'internal: how new the newest row of each protected table is';

-- A clock that runs ahead would let rows go too early, and one that is behind was wrong before or is now.
-- What somebody has looked at and confirmed is taken as it was then.
CREATE FUNCTION audit._clock_problem() RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    allowed_gap constant interval := '31 days';
    tolerance constant interval := coalesce(current_setting('audit_guard.insert_time_tolerance', true), '1h');
    last_known constant timestamptz := coalesce(
        (SELECT s.last_run_at FROM audit.retention_state s WHERE s.relation = '' AND isfinite(s.last_run_at)),
        (SELECT e.logged_at FROM audit.guard_events e ORDER BY e.id DESC LIMIT 1));
    confirmed constant jsonb := (SELECT e.detail -> 'newest' FROM audit.guard_events e
                                 WHERE e.kind = 'clock_confirmed' ORDER BY e.id DESC LIMIT 1);
    ahead text;
BEGIN
    IF clock_timestamp() > last_known + allowed_gap THEN
        RETURN format('the clock is %s days after the last time it was found right',
                      extract(day FROM clock_timestamp() - last_known));
    ELSIF clock_timestamp() < last_known - tolerance THEN
        RETURN 'the clock is behind the last time it was found right';
    END IF;
    SELECT n.relation INTO ahead
    FROM audit._newest_rows() n
    WHERE n.newest > clock_timestamp() + tolerance
      AND n.newest > coalesce((confirmed ->> n.relation)::timestamptz, '-infinity')
    ORDER BY n.relation LIMIT 1;
    RETURN 'the clock is behind the newest row of ' || ahead;
END
$body$;
COMMENT ON FUNCTION audit._clock_problem() IS
    'internal: why the clock cannot be believed; null when it can';

CREATE FUNCTION audit.confirm_clock(reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
BEGIN
    PERFORM audit._check_reason(reason, 'SELECT audit.confirm_clock(''why'');');
    PERFORM audit._record_event(
        'clock_confirmed', NULL, reason,
        jsonb_build_object('newest', (SELECT jsonb_object_agg(n.relation, n.newest)
                                      FROM audit._newest_rows() n WHERE n.newest > clock_timestamp())));
    PERFORM audit._note_clock();
END
$body$;
COMMENT ON FUNCTION audit.confirm_clock(text) IS
    'says that the server''s clock is right, after apply_retention refused to believe it; the reason is kept '
    'in guard_events';
