-- Purpose: says what is not as it should be, and with which command it is mended.
-- Who may call: everybody; it shows names of tables, never their rows.
-- Relies on: 40_partitions.sql, 52_tracked_tables.sql; when it is called, on 69_incarnations.sql.

CREATE FUNCTION audit._is_preloaded() RETURNS boolean
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'is_preloaded_wrapper';
COMMENT ON FUNCTION audit._is_preloaded() IS
    'internal: whether the server loaded the library when it started';

CREATE FUNCTION audit._partition_health(stream regclass) RETURNS audit.health_item
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    future_leaf regclass;
    future_from timestamptz;
    months_left integer;
    foreign_leaves text[];
    missing_leaves text;
    has_rows boolean := false;
    result audit.health_item;
BEGIN
    result.check_name := 'partitions';
    result.ok := false;
    result.fix := 'SELECT audit.maintain_partitions();';
    IF NOT EXISTS (SELECT FROM audit._leaves(stream)) THEN
        result.ok := NOT EXISTS (SELECT FROM audit.tracked_tables);
        result.detail := format('%s: no month made yet; the first enable_tracking makes them', stream);
        result.fix := CASE WHEN result.ok THEN NULL ELSE result.fix END;
        RETURN result;
    END IF;

    -- A restore with --no-owner leaves them to the role that restored.
    SELECT array_agg(format('ALTER TABLE %s OWNER TO audit_owner;', l.leaf)) INTO foreign_leaves
    FROM audit._leaves(stream) l JOIN pg_class c ON c.oid = l.leaf
    WHERE c.relowner <> 'audit_owner'::regrole;
    IF foreign_leaves IS NOT NULL THEN
        result.detail := format('%s: %s partitions do not belong to audit_owner', stream,
                                cardinality(foreign_leaves));
        result.fix := array_to_string(foreign_leaves, ' ');
        RETURN result;
    END IF;

    -- Those that still stand are attached first; the rest is made then.
    SELECT string_agg(format('audit.%I', m.leaf), ', '),
           coalesce(string_agg(m.attach, ' '), result.fix)
    INTO missing_leaves, result.fix
    FROM audit._missing_leaves(stream) m;
    IF missing_leaves IS NOT NULL THEN
        result.detail := format('%s: changes of some times cannot be logged, missing: %s', stream,
                                missing_leaves);
        RETURN result;
    END IF;

    SELECT l.leaf, l.lower_bound INTO future_leaf, future_from
    FROM audit._leaves(stream) l WHERE l.upper_bound IS NULL;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', future_leaf) INTO has_rows;
    months_left := (SELECT extract(year FROM a.gap) * 12 + extract(month FROM a.gap)
                    FROM age(future_from AT TIME ZONE 'UTC',
                             date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')) a(gap)) - 1;
    result.detail := format('%s: %s months ahead', stream, greatest(months_left, 0))
                     || CASE WHEN has_rows THEN ', rows lie beyond the last month' ELSE '' END;
    IF months_left >= 2 AND NOT has_rows THEN
        result.ok := true;
        result.fix := NULL;
    END IF;
    RETURN result;
END
$body$;
COMMENT ON FUNCTION audit._partition_health(regclass) IS 'internal: the line of health() about one stream';

CREATE FUNCTION audit.health() RETURNS SETOF audit.health_item
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    -- A choice of whoever runs the server, and not a fault; guard_status() says what it costs.
    RETURN QUERY SELECT 'preload'::text, true,
        CASE audit._lockdown()
            WHEN 'not preloaded'
            THEN 'loaded on demand: lockdown, the sealer and the recording of refused attempts are off '
                 '(shared_preload_libraries)'
            ELSE 'loaded when the server starts, lockdown is ' || audit._lockdown() END,
        NULL;

    RETURN QUERY SELECT item.*
    FROM audit._streams() s, LATERAL audit._partition_health(s.stream) item;

    RETURN QUERY
    SELECT 'append_only'::text, count(*) = 0,
           CASE WHEN count(*) = 0 THEN 'the tables of the log refuse changes'
                ELSE 'triggers that do not always fire: '
                     || string_agg(format('%I on %s', g.tgname, g.tgrelid::regclass), ', ') END,
           CASE WHEN count(*) > 0 THEN 'SELECT audit.repair_tracking();' END
    FROM audit._weak_guards() g;

    RETURN QUERY
    SELECT 'ddl'::text, count(*) = 0,
           CASE WHEN count(*) = 0 THEN 'renames, drops, new partitions and new tables are followed'
                ELSE 'event triggers that do not always fire: ' || string_agg(t.evtname, ', ' ORDER BY t.evtname)
           END,
           string_agg(format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', t.evtname), ' ' ORDER BY t.evtname)
    FROM pg_event_trigger t
    WHERE t.evtenabled <> 'A'
      AND t.evtfoid IN ('audit._on_ddl_end()'::regprocedure, 'audit._on_drop()'::regprocedure);

    -- A trigger that was switched off or lost comes back as it was: enable_tracking would replace its options.
    -- Where that call is the remedy, it repeats the options of the table that the rows are logged under.
    RETURN QUERY
    WITH bad AS (
        SELECT DISTINCT ON (t.target) t.target, t.status,
               CASE WHEN t.status IN ('disabled', 'not always', 'truncate not logged')
                    THEN format('SELECT audit.repair_tracking(%L);', t.target::text)
                    -- Run as it stands, this command would show what is hidden now: hence a comment.
                    ELSE CASE WHEN t.status = 'degraded' THEN '-- with the columns that were lost: '
                              ELSE '' END
                         || format('SELECT audit.enable_tracking(%L, exclude => %L, mask => %L, '
                                'tenant_column => %L, detail => %L, log_truncated_rows => %L, phi => %L);',
                                o.target::text, o.exclude, o.mask, coalesce(o.tenant_column, ''), o.detail,
                                o.log_truncated_rows, o.phi)
               END AS fix
        FROM audit.tracked_tables t
        JOIN audit.tracked_tables o ON o.target = audit._tracked_as(t.target)
        WHERE t.status <> 'ok'
        ORDER BY t.target)
    SELECT 'triggers'::text, count(*) = 0,
           CASE WHEN count(*) = 0
                THEN format('tables tracked: %s', (SELECT count(*) FROM audit.tracked_tables))
                ELSE string_agg(format('%s: %s', bad.target, bad.status), ', ' ORDER BY bad.target::text) END,
           string_agg(bad.fix, E'\n' ORDER BY bad.target::text)
    FROM bad;

    RETURN QUERY SELECT item.* FROM audit._ledger_health() item;
END
$body$;
COMMENT ON FUNCTION audit.health() IS 'what is in order and what is not, with the command that mends it';
