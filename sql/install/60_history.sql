-- Purpose: answers what happened to a record and in a transaction.
-- Who may call: audit_reader (everybody may ask for the version).
-- Relies on: 20_audit_log.sql, 21_guard_events.sql, 45_tracking_rules.sql.

CREATE FUNCTION audit.version() RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'version_wrapper';
COMMENT ON FUNCTION audit.version() IS 'the version of the loaded library';

CREATE FUNCTION audit._record_key(target regclass, record_id text) RETURNS text
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'record_key_wrapper';
COMMENT ON FUNCTION audit._record_key(regclass, text) IS
    'internal: a key as a user writes it, turned into the text that the log holds';

CREATE FUNCTION audit._span_condition(time_column name, spans tstzmultirange) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
DECLARE
    span tstzrange;
    condition text;
BEGIN
    FOR span IN SELECT u.span FROM unnest(spans) u(span) LOOP
        condition := coalesce(condition || ' OR ', '')
                     || concat_ws(' AND ', 'true',
                                  format('%I >= ', time_column) || quote_literal(lower(span)),
                                  format('%I < ', time_column) || quote_literal(upper(span)));
    END LOOP;
    RETURN '(' || condition || ')';
END
$body$;
COMMENT ON FUNCTION audit._span_condition(name, tstzmultirange) IS
    'internal: spans of time as a condition in SQL; null when there are none';

-- Planning opens every leaf and all its indexes, and most leaves are months to come: so a query names the
-- spans of time in which rows lie at all, and the planner leaves the other leaves out unopened. Whether a
-- leaf has rows is read from its size (a reader may ask for that, and for nothing else of a leaf), never from
-- its name or from the clock. What cannot be judged, such as a foreign table, counts as filled. column_spans
-- covers leaves that may hold a value in sparse_column: a btree on it that holds nothing is one page long.
CREATE FUNCTION audit._filled_spans(
    stream regclass, time_column name, sparse_column name, OUT spans text, OUT column_spans text,
    OUT leaf_count bigint)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
DECLARE
    page constant bigint := current_setting('block_size');
    not_null constant text := '(' || quote_ident(sparse_column) || ' IS NOT NULL)';
    filled tstzmultirange;
    column_filled tstzmultirange;
BEGIN
    -- CASE, because nothing else decides what is looked at first: most leaves need no second look.
    SELECT range_agg(leaf.span),
           range_agg(leaf.span) FILTER (WHERE leaf.relkind <> 'r' OR NOT EXISTS (
               SELECT FROM pg_index i
               WHERE i.indrelid = leaf.oid
                 AND CASE WHEN NOT (i.indisvalid AND i.indisready) THEN false
                          WHEN (SELECT a.attname FROM pg_attribute a
                                WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0])
                               IS DISTINCT FROM sparse_column THEN false
                          WHEN i.indpred IS NOT NULL AND pg_get_expr(i.indpred, i.indrelid) <> not_null
                          THEN false
                          WHEN (SELECT x.relam FROM pg_class x WHERE x.oid = i.indexrelid)
                               <> (SELECT m.oid FROM pg_am m WHERE m.amname = 'btree') THEN false
                          ELSE pg_relation_size(i.indexrelid) <= page END)),
           count(*)
    INTO filled, column_filled, leaf_count
    FROM (SELECT f.oid, f.relkind,
                 tstzrange(substring(b.bound FROM $re$ FROM \('([^']+)'\)$re$)::timestamptz,
                           substring(b.bound FROM $re$ TO \('([^']+)'\)$$re$)::timestamptz) AS span
          FROM (SELECT c.oid, c.relkind, c.relpartbound
                FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
                WHERE h.inhparent = stream
                  AND CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) > 0 ELSE true END
                OFFSET 0) f
          CROSS JOIN LATERAL pg_get_expr(f.relpartbound, f.oid) b(bound)) leaf;
    spans := audit._span_condition(time_column, filled);
    column_spans := audit._span_condition(time_column, column_filled);
END
$body$;
COMMENT ON FUNCTION audit._filled_spans(regclass, name, name) IS
    'internal: conditions that leave out partitions without rows, and those without a value in one column';

-- Renames are looked up by the name before, too.
CREATE INDEX guard_events_renamed_idx ON audit.guard_events
    ((detail ->> 'from_schema'), (detail ->> 'from_name')) WHERE kind = 'table_renamed';

-- The log knows tables by name. A table owns a name from the moment it was renamed to it, or since another
-- table gave that name up, until it was renamed again; without any rename that is all time.
CREATE FUNCTION audit._table_names(target regclass)
RETURNS TABLE (schema_name text, table_name text, since timestamptz, until timestamptz)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    renamed record;
    given_up_at timestamptz;
BEGIN
    SELECT n.nspname, c.relname, 'infinity' INTO schema_name, table_name, until
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = target;
    LOOP
        SELECT e.logged_at, e.detail ->> 'from_schema' AS from_schema, e.detail ->> 'from_name' AS from_name
        INTO renamed
        FROM audit.guard_events e
        WHERE e.object = format('%I.%I', schema_name, table_name) AND e.kind = 'table_renamed'
          AND e.logged_at < until
        ORDER BY e.logged_at DESC, e.id DESC
        LIMIT 1;
        SELECT max(e.logged_at) INTO given_up_at
        FROM audit.guard_events e
        WHERE e.detail ->> 'from_schema' = schema_name AND e.detail ->> 'from_name' = table_name
          AND e.kind = 'table_renamed' AND e.logged_at < until;
        since := coalesce(greatest(renamed.logged_at, given_up_at), '-infinity');
        RETURN NEXT;
        EXIT WHEN renamed.logged_at IS NULL OR given_up_at > renamed.logged_at;
        schema_name := renamed.from_schema;
        table_name := renamed.from_name;
        until := renamed.logged_at;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._table_names(regclass) IS
    'internal: the names that a table has had, newest first, and the time that it had each';

CREATE FUNCTION audit._tracking_events(target regclass)
RETURNS TABLE (logged_at timestamptz, kind text, detail jsonb)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT e.logged_at, e.kind, e.detail
    FROM audit._table_names(target) n
    JOIN audit.guard_events e ON e.object = format('%I.%I', n.schema_name, n.table_name)
                                 AND e.logged_at >= n.since AND e.logged_at < n.until
    WHERE e.kind IN ('tracking_enabled', 'tracking_changed', 'tracking_disabled', 'tracking_suspended',
                     'tracking_resumed', 'partition_attached', 'partition_detached', 'history_imported')
    ORDER BY e.logged_at, e.id
$body$;
COMMENT ON FUNCTION audit._tracking_events(regclass) IS
    'internal: the events that say when and how a table was tracked, under all its names, in order';

CREATE FUNCTION audit._options_at(target regclass, as_of timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN e.kind = 'tracking_changed' THEN e.detail -> 'now' ELSE e.detail END
    FROM audit._tracking_events(target) e
    WHERE e.kind IN ('tracking_enabled', 'tracking_changed') AND e.logged_at <= as_of
    ORDER BY e.logged_at DESC
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._options_at(regclass, timestamptz) IS
    'internal: the options with which a table was tracked at a point in time; null when it was not yet';

-- A second tracking_enabled without an end before it means that another table had this name. Tracking that
-- an event left on, but that is off now, ended at a time that nobody knows, so nothing of it counts.
CREATE FUNCTION audit._tracked_spans(target regclass, OUT covered tstzmultirange, OUT empty_at timestamptz[])
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    event record;
    tracked_since timestamptz;
BEGIN
    covered := '{}';
    empty_at := '{}';
    FOR event IN SELECT e.logged_at, e.kind, e.detail FROM audit._tracking_events(target) e LOOP
        IF event.kind = 'tracking_enabled' THEN
            IF tracked_since IS NOT NULL THEN
                covered := '{}';
                empty_at := '{}';
            END IF;
            tracked_since := event.logged_at;
            IF event.detail ->> 'was_empty' = 'true' THEN
                empty_at := empty_at || event.logged_at;
            END IF;
        ELSIF event.kind IN ('tracking_resumed', 'tracking_changed') THEN
            tracked_since := coalesce(tracked_since, event.logged_at);
        ELSIF event.kind IN ('tracking_disabled', 'tracking_suspended') THEN
            covered := covered + coalesce(tstzmultirange(tstzrange(tracked_since, event.logged_at)), '{}');
            tracked_since := NULL;
        ELSIF event.kind IN ('partition_attached', 'partition_detached') THEN
            covered := covered + coalesce(tstzmultirange(tstzrange(tracked_since, event.logged_at)), '{}');
            tracked_since := CASE WHEN tracked_since IS NOT NULL
                                  THEN event.logged_at + interval '1 microsecond' END;
        ELSIF (event.detail ->> 'covers_from')::timestamptz < event.logged_at THEN
            covered := covered
                       + tstzmultirange(tstzrange((event.detail ->> 'covers_from')::timestamptz,
                                                  event.logged_at));
        END IF;
    END LOOP;
    IF tracked_since IS NOT NULL
       AND EXISTS (SELECT FROM pg_trigger t
                   WHERE t.tgrelid = target AND t.tgfoid = 'audit.log_changes()'::regprocedure
                     AND t.tgtype & 1 = 1 AND t.tgenabled <> 'D') THEN
        covered := covered + tstzmultirange(tstzrange(tracked_since, NULL));
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._tracked_spans(regclass) IS
    'internal: when each change of a table was recorded, and when the table was known to be empty';

CREATE FUNCTION audit._known_span(
    target regclass, as_of timestamptz, OUT span tstzrange, OUT empty_at timestamptz[])
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    tracked record;
    gap tstzrange;
BEGIN
    IF as_of > clock_timestamp() THEN
        RAISE EXCEPTION 'as_of must not lie in the future'
            USING ERRCODE = 'invalid_parameter_value', HINT = format('SELECT * FROM %s;', target);
    END IF;
    tracked := audit._tracked_spans(target);
    SELECT u.span INTO span FROM unnest(tracked.covered) u(span) WHERE u.span @> as_of;
    IF FOUND THEN
        empty_at := ARRAY(SELECT e.at FROM unnest(tracked.empty_at) e(at) WHERE span @> e.at ORDER BY e.at);
        RETURN;
    END IF;

    IF isempty(tracked.covered) THEN
        RAISE EXCEPTION '% is not tracked', target
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.enable_tracking(%L);', target::text);
    ELSIF as_of < lower(tracked.covered) THEN
        RAISE EXCEPTION '% is tracked since %: what it held before is not known', target,
                        lower(tracked.covered)
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT * FROM audit.guard_events WHERE object = %L ORDER BY id;',
                                target::text);
    END IF;
    SELECT u.span INTO gap
    FROM unnest(tstzmultirange(tstzrange(NULL, NULL)) - tracked.covered) u(span) WHERE u.span @> as_of;
    RAISE EXCEPTION '% was not tracked from % to %: what it held then is not known', target, lower(gap),
                    coalesce(upper(gap)::text, 'now')
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = format('SELECT * FROM audit.guard_events WHERE object = %L ORDER BY id;', target::text);
END
$body$;
COMMENT ON FUNCTION audit._known_span(regclass, timestamptz) IS
    'internal: the time around a point in which every change of a table was recorded; an error if there is '
    'none';

-- Two branches, so that each can use its own index; the second only where a key was ever changed. Planned for
-- each call as long as few leaves have rows. Once there are many, one plan over all leaves that is kept for
-- the session costs more at first and less from then on.
CREATE FUNCTION audit._history_rows(
    key_wanted text, schema_wanted text, table_wanted text, since timestamptz, until timestamptz,
    max_rows integer)
RETURNS SETOF audit.audit_log
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    filled record;
BEGIN
    filled := audit._filled_spans('audit.audit_log', 'logged_at', 'old_record_id');
    IF filled.leaf_count > 12 THEN
        RETURN QUERY
            SELECT l.* FROM audit.audit_log l
            WHERE l.record_id = key_wanted AND l.table_name = table_wanted AND l.table_schema = schema_wanted
              AND l.logged_at >= since AND l.logged_at < until
            UNION ALL
            SELECT l.* FROM audit.audit_log l
            WHERE l.old_record_id = key_wanted AND l.table_name = table_wanted
              AND l.table_schema = schema_wanted AND l.record_id IS DISTINCT FROM key_wanted
              AND l.logged_at >= since AND l.logged_at < until
            ORDER BY logged_at DESC, id DESC
            LIMIT max_rows;
    ELSIF filled.spans IS NOT NULL THEN
        RETURN QUERY EXECUTE
            'SELECT l.* FROM audit.audit_log l
             WHERE l.record_id = $1 AND l.table_name = $2 AND l.table_schema = $3
               AND l.logged_at >= $4 AND l.logged_at < $5 AND ' || filled.spans
            || coalesce(' UNION ALL
             SELECT l.* FROM audit.audit_log l
             WHERE l.old_record_id = $1 AND l.table_name = $2 AND l.table_schema = $3
               AND l.record_id IS DISTINCT FROM $1 AND l.logged_at >= $4 AND l.logged_at < $5
               AND ' || filled.column_spans, '')
            || ' ORDER BY logged_at DESC, id DESC LIMIT $6'
            USING key_wanted, table_wanted, schema_wanted, since, until, max_rows;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._history_rows(text, text, text, timestamptz, timestamptz, integer) IS
    'internal: the latest rows about one record in a span of time, newest first';

-- A scan of a whole leaf is never right here, even while it is small, and the bitmap that its index on time
-- offers is one. max_rows keeps the latest rows, but they are shown in the order in which they happened.
CREATE FUNCTION audit.record_history(target regclass, record_id text, max_rows integer DEFAULT NULL)
RETURNS SETOF audit.changes
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $body$
DECLARE
    tracked_as regclass;
    key_wanted text;
BEGIN
    IF target IS NULL OR record_id IS NULL THEN
        RAISE EXCEPTION 'target and record_id must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT * FROM audit.record_history(''schema_name.table_name'', ''key'');';
    ELSIF max_rows < 0 THEN
        RAISE EXCEPTION 'max_rows must not be negative'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT * FROM audit.record_history(%L, ''key'', max_rows => 100);',
                                target::text);
    END IF;
    tracked_as := audit._tracked_as(target);
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = target) THEN
        RAISE EXCEPTION 'relation with OID % does not exist', target::oid
            USING ERRCODE = 'undefined_table', HINT = 'SELECT * FROM audit.tracked_tables;';
    END IF;

    IF tracked_as IS NOT NULL OR audit._key_columns(target) <> '{}' THEN
        key_wanted := audit._record_key(coalesce(tracked_as, target), record_id);
        RETURN QUERY
            SELECT r.id, r.logged_at, r.operation, r.table_schema, r.table_name, r.record_id,
                   r.changed_fields,
                   CASE WHEN r.operation = 'UPDATE' AND r.changed_fields IS NOT NULL
                        THEN (SELECT jsonb_object_agg(f.name, r.old_record -> f.name)
                              FROM unnest(r.changed_fields) f(name) WHERE r.old_record ? f.name)
                        ELSE r.old_record END,
                   CASE WHEN r.operation = 'UPDATE' AND r.changed_fields IS NOT NULL
                        THEN (SELECT jsonb_object_agg(f.name, r.new_record -> f.name)
                              FROM unnest(r.changed_fields) f(name) WHERE r.new_record ? f.name)
                        ELSE r.new_record END,
                   r.actor_id, r.actor_source, r.login_role, r.actor_role, r.tenant_id, r.session_id,
                   r.client_ip, r.application_name, r.transaction_id, r.context
            FROM (SELECT h.*
                  FROM audit._table_names(coalesce(tracked_as, target)) n
                  CROSS JOIN LATERAL audit._history_rows(
                      key_wanted, n.schema_name, n.table_name, n.since, n.until, max_rows) h
                  ORDER BY h.logged_at DESC, h.id DESC
                  LIMIT max_rows) r
            ORDER BY r.logged_at, r.id;
        IF FOUND OR max_rows = 0 THEN
            RETURN;
        END IF;
    END IF;
    IF tracked_as IS NULL THEN
        RAISE EXCEPTION '% is not tracked', target
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.enable_tracking(%L);', target::text);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit.record_history(regclass, text, integer) IS
    'everything that happened to one record, in order, under all names that its table had; a key of several '
    'columns is a JSON array: ''[7,3]''';

-- The settings are those under which the log writes values as text.
CREATE FUNCTION audit.record_history(target regclass, record_id anyelement, max_rows integer DEFAULT NULL)
RETURNS SETOF audit.changes
LANGUAGE sql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
SET intervalstyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
AS $body$
    SELECT h.* FROM audit.record_history(target, record_id::text, max_rows) h
$body$;
COMMENT ON FUNCTION audit.record_history(regclass, anyelement, integer) IS 'the same for a key of any type';

CREATE FUNCTION audit.transaction_changes(transaction_id bigint) RETURNS SETOF audit.changes
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $body$
DECLARE
    filled record;
BEGIN
    filled := audit._filled_spans('audit.audit_log', 'logged_at', NULL);
    IF filled.leaf_count > 12 THEN
        RETURN QUERY SELECT c.* FROM audit.changes c
                     WHERE c.transaction_id = transaction_changes.transaction_id ORDER BY c.id;
    ELSIF filled.spans IS NOT NULL THEN
        RETURN QUERY EXECUTE
            'SELECT c.* FROM audit.changes c WHERE c.transaction_id = $1 AND ' || filled.spans
            || ' ORDER BY c.id'
            USING transaction_id;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit.transaction_changes(bigint) IS
    'everything one transaction changed, in the order of the changes';
