-- Purpose: shows a table as it was at a point in time.
-- Who may call: audit_reader.
-- Relies on: 62_as_of.sql.

CREATE FUNCTION audit._log_condition(target regclass, since timestamptz, until timestamptz) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
    SELECT '(' || string_agg(format(
               'l.table_name = %L AND l.table_schema = %L AND l.logged_at >= %L AND l.logged_at < %L',
               n.table_name, n.schema_name, greatest(n.since, _log_condition.since),
               least(n.until, _log_condition.until)), ' OR ') || ')'
    FROM audit._table_names(target) n
$body$;
COMMENT ON FUNCTION audit._log_condition(regclass, timestamptz, timestamptz) IS
    'internal: which rows l of the log are about a table in a span of time, as a condition in SQL';

CREATE FUNCTION audit._key_expression(target regclass) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE
        WHEN key.is_short THEN key.expression
        ELSE format('CASE WHEN octet_length(%1$s) > 2000 THEN ''sha256:'' || encode(sha256(convert_to(%1$s, '
                    'getdatabaseencoding())), ''hex'') ELSE %1$s END', key.expression) END
    FROM (SELECT bool_and(a.attlen > 0) AS is_short,
                 CASE WHEN count(*) = 1 THEN min(format('(to_jsonb(t.%I) #>> ''{}'')', k.name))
                      ELSE format('(''['' || %s || '']'')',
                                  string_agg(format('to_jsonb(t.%I)::text', k.name), ' || '','' || '
                                             ORDER BY k.place)) END AS expression
          FROM unnest(audit._key_columns(target)) WITH ORDINALITY k(name, place)
          JOIN pg_attribute a ON a.attrelid = target AND a.attname = k.name) key
$body$;
COMMENT ON FUNCTION audit._key_expression(regclass) IS
    'internal: the text that the log holds for the key of a row t, as an expression in SQL';

-- A table is known as a whole now, and whenever it was empty; from such a moment the log leads to any other,
-- unless rows went unrecorded in between. ends_at: back from there; null: forward from begins_at.
CREATE FUNCTION audit._way_to(
    target regclass, as_of timestamptz, span tstzrange, empty_at timestamptz[],
    OUT from_live boolean, OUT begins_at timestamptz, OUT ends_at timestamptz, OUT emptied_parts jsonb)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    truncation audit.audit_log;
    is_whole boolean;
    is_logged boolean;
    lost_at timestamptz;
BEGIN
    emptied_parts := '[]';
    begins_at := (SELECT max(e.at) FROM unnest(empty_at) e(at) WHERE e.at <= as_of);
    ends_at := (SELECT min(e.at) FROM unnest(empty_at) e(at) WHERE e.at > as_of);
    FOR truncation IN
        SELECT t.* FROM audit._truncations(target, lower(span), coalesce(upper(span), 'infinity')) t
        ORDER BY t.logged_at, t.id
    LOOP
        is_whole := NOT coalesce(truncation.context ? 'partition', false);
        is_logged := audit._truncated_rows_logged(target, truncation);
        IF truncation.logged_at <= as_of THEN
            IF is_whole THEN
                begins_at := greatest(begins_at, truncation.logged_at);
                emptied_parts := '[]';
            ELSIF NOT is_logged THEN
                emptied_parts := emptied_parts || jsonb_build_object(
                    'at', truncation.logged_at, 'partition', truncation.context ->> 'partition');
            END IF;
        ELSE
            lost_at := coalesce(lost_at, CASE WHEN NOT is_logged THEN truncation.logged_at END);
            ends_at := least(ends_at, CASE WHEN is_whole AND lost_at IS NULL THEN truncation.logged_at END);
        END IF;
    END LOOP;
    from_live := lost_at IS NULL AND upper_inf(span);
    IF from_live THEN
        ends_at := 'infinity';
    ELSIF ends_at > lost_at THEN
        ends_at := NULL;
    END IF;
    IF ends_at IS NOT NULL THEN
        emptied_parts := '[]';
    ELSIF begins_at IS NULL THEN
        RAISE EXCEPTION 'what % held at % is not known: %', target, as_of,
                        CASE WHEN lost_at IS NULL
                             THEN format('changes after %s were not recorded', upper(span))
                             ELSE format('TRUNCATE at %s did not record the rows that it removed', lost_at)
                        END
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = CASE WHEN lost_at IS NULL THEN
                                  format('SELECT * FROM audit.guard_events WHERE object = %L ORDER BY id;',
                                         target::text)
                              ELSE format('From now on: SELECT audit.enable_tracking(%L, '
                                          'log_truncated_rows => true);', target::text) END;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._way_to(regclass, timestamptz, tstzrange, timestamptz[]) IS
    'internal: from which known state of a table the log leads to its state at a point in time';

-- One narrow sort finds the one change of each record that decides, and only that one is then read whole, in
-- the order of the log. FULL JOIN, because its plan cannot become a nested loop, however wrong estimates are.
-- A row has a key, so what is null as a whole is none: a record whose state turns out to be that it was gone.
CREATE FUNCTION audit._as_of_query(
    target regclass, shown regclass, as_of timestamptz, span tstzrange, empty_at timestamptz[])
RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
DECLARE
    way constant record := audit._way_to(target, as_of, span, empty_at);
    filled constant record := audit._filled_spans('audit.audit_log', 'logged_at', 'old_record_id');
    is_backward constant boolean := way.ends_at IS NOT NULL;
    about_table constant text := audit._log_condition(
        target, CASE WHEN is_backward THEN as_of ELSE way.begins_at END + interval '1 microsecond',
        CASE WHEN is_backward THEN way.ends_at ELSE as_of END + interval '1 microsecond');
    direction constant text := CASE WHEN is_backward THEN 'ASC' ELSE 'DESC' END;
    kept_out constant text[] := ARRAY(SELECT h.column_name FROM audit._hidden_columns(target, as_of) h);
    columns text[];
    live_columns text;
    shown_columns text;
    deciding text;
    source text;
    before_or_after text;
    partly_known text;
    conditions text := 'true';
BEGIN
    SELECT array_agg(a.attname::text ORDER BY a.attnum),
           string_agg(CASE WHEN a.attname = ANY (kept_out)
                           THEN format('NULL::%s', format_type(a.atttypid, a.atttypmod))
                           ELSE format('t.%I', a.attname) END, ', ' ORDER BY a.attnum),
           string_agg(format('(x.row_then).%I', a.attname), ', ' ORDER BY a.attnum)
    INTO columns, live_columns, shown_columns
    FROM pg_attribute a
    WHERE a.attrelid = shown AND a.attnum > 0 AND NOT a.attisdropped;

    deciding := format(
        'SELECT DISTINCT ON (e.record_id) e.record_id, e.logged_at, e.id, e.transaction_id
         FROM (SELECT l.record_id, l.logged_at, l.id, l.transaction_id FROM audit.audit_log l
               WHERE l.record_id IS NOT NULL AND %1$s AND %2$s
               UNION ALL
               SELECT l.old_record_id, l.logged_at, l.id, l.transaction_id FROM audit.audit_log l
               WHERE l.old_record_id IS NOT NULL AND %1$s AND %3$s) e
         ORDER BY e.record_id, e.logged_at %4$s, e.id %4$s',
        about_table, coalesce(filled.spans, 'false'), coalesce(filled.column_spans, 'false'), direction);
    partly_known := format(
        'audit._record_state(%1$L, j.record_id, audit._key_image(%1$L, j.record_id), %2$L, %3$L, %4$L)',
        target, as_of, span, empty_at);
    IF way.from_live THEN
        PERFORM audit._check_row_security(shown);
        source := format(
            'SELECT t.live, e.*
             FROM (SELECT ROW(%1$s)::%2$s AS live, %3$s COLLATE "C" AS record_id FROM %4$s %2$s t) t
             FULL JOIN (%5$s) e ON e.record_id = t.record_id',
            live_columns, shown, audit._key_expression(target),
            CASE WHEN (SELECT c.relkind FROM pg_class c WHERE c.oid = shown) = 'r' THEN 'ONLY' END, deciding);
        -- Detail changed: all that the record lost since then goes back over what it is now.
        partly_known := format(
            'coalesce((SELECT to_jsonb(j.live) - %L::text[]
                              || jsonb_object_agg(f.key, f.value ORDER BY l.logged_at DESC, l.id DESC)
                                 FILTER (WHERE f.key IS NOT NULL)
                       FROM audit.audit_log l LEFT JOIN LATERAL jsonb_each(l.old_record) f ON true
                       WHERE l.record_id = j.record_id AND %s AND %s
                       HAVING bool_and(l.operation = ''UPDATE'' AND l.old_record_id IS NULL)
                              AND j.live IS NOT NULL), %s)',
            kept_out, about_table, coalesce(filled.spans, 'false'), partly_known);
    ELSE
        source := format('SELECT NULL::%s AS live, e.* FROM (%s) e', shown, deciding);
    END IF;

    IF is_backward THEN
        before_or_after := 'coalesce(l.new_record, ''{}'') || coalesce(l.old_record, ''{}'')';
        conditions := 'l.operation <> ''INSERT''
                       AND (l.record_id <> j.record_id OR l.old_record_id IS NULL
                            OR l.old_record_id = l.record_id)';
    ELSE
        before_or_after := 'coalesce(l.old_record, ''{}'') || coalesce(l.new_record, ''{}'')';
        conditions := 'l.operation IN (''INSERT'', ''UPDATE'') AND l.record_id = j.record_id';
    END IF;
    RETURN format(
        'SELECT %s
         FROM (SELECT j.logged_at,
                      CASE WHEN j.id IS NULL THEN j.live
                           ELSE jsonb_populate_record(NULL::%s,
                                    CASE WHEN audit._is_whole(l.fields, l.changed_fields, %L) THEN l.fields
                                         ELSE %s END) END AS row_then
               FROM (%s ORDER BY e.logged_at, e.id OFFSET 0) j
               LEFT JOIN LATERAL (SELECT l.operation, l.record_id, l.old_record_id, l.changed_fields,
                                         %s AS fields
                                  FROM audit.audit_log l
                                  WHERE l.transaction_id = j.transaction_id AND l.id = j.id
                                    AND l.logged_at = j.logged_at
                                  LIMIT 1) l ON true
               WHERE j.id IS NULL OR (%s)
               OFFSET 0) x
         WHERE NOT (x.row_then IS NULL) AND %s',
        shown_columns, shown, ARRAY(SELECT unnest(columns) EXCEPT SELECT unnest(kept_out)), partly_known,
        source, before_or_after, conditions,
        audit._parts_condition(target, shown, way.emptied_parts));
END
$body$;
COMMENT ON FUNCTION audit._as_of_query(regclass, regclass, timestamptz, tstzrange, timestamptz[]) IS
    'internal: the query that shows a table or partition as it was';

-- x.logged_at is null for a row that is still there as it was.
CREATE FUNCTION audit._parts_condition(target regclass, shown regclass, emptied_parts jsonb) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    conditions text := 'true';
    part record;
    place regclass;
BEGIN
    IF shown <> target THEN
        conditions := format('(x.logged_at IS NULL OR (SELECT %s FROM (SELECT (x.row_then).*) p))',
                             coalesce(pg_get_partition_constraintdef(shown), 'true'));
    END IF;
    FOR part IN
        SELECT p.at, p.partition
        FROM jsonb_to_recordset(emptied_parts) p(at timestamptz, partition text)
    LOOP
        place := audit._partition_now(target, part.partition);
        IF place IS NULL THEN
            RAISE EXCEPTION 'TRUNCATE at % emptied partition % of %, which is gone: its rows are not known',
                            part.at, part.partition, target
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('From now on: SELECT audit.enable_tracking(%L, '
                                    'log_truncated_rows => true);', target::text);
        END IF;
        conditions := format('%s AND NOT (x.logged_at < %L AND (SELECT %s FROM (SELECT (x.row_then).*) p))',
                             conditions, part.at, coalesce(pg_get_partition_constraintdef(place), 'true'));
    END LOOP;
    RETURN conditions;
END
$body$;
COMMENT ON FUNCTION audit._parts_condition(regclass, regclass, jsonb) IS
    'internal: leaves out rows of other partitions, and of partitions that were emptied later';

CREATE FUNCTION audit.table_as_of(base anyelement, as_of timestamptz) RETURNS SETOF anyelement
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
SET intervalstyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
SET quote_all_identifiers = off
AS $body$
DECLARE
    shown regclass;
    target regclass;
    known record;
    hidden text;
BEGIN
    IF as_of IS NULL THEN
        RAISE EXCEPTION 'as_of must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('SELECT * FROM audit.table_as_of(NULL::%s, now() - interval ''1 hour'');',
                                pg_typeof(base));
    END IF;
    SELECT c.oid INTO shown
    FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind IN ('r', 'p')
    WHERE t.oid = pg_typeof(base);
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not the row type of a table', pg_typeof(base)
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'SELECT * FROM audit.table_as_of(NULL::schema_name.table_name, '
                         'now() - interval ''1 hour'');';
    END IF;
    target := audit._logged_table(shown);
    known := audit._known_span(target, as_of);
    SELECT string_agg(h.column_name, ', ' ORDER BY h.column_name) INTO hidden
    FROM audit._hidden_columns(target, as_of) h;
    IF hidden IS NOT NULL THEN
        RAISE NOTICE 'columns of % that were not logged are null: %', target, hidden;
    END IF;
    BEGIN
        RETURN QUERY EXECUTE audit._as_of_query(target, shown, as_of, known.span, known.empty_at);
    EXCEPTION WHEN data_exception OR check_violation OR not_null_violation THEN
        -- The server's own words would show the value.
        RAISE EXCEPTION 'columns of % have other types today: values of % do not fit', target, as_of
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Record by record, as JSON: SELECT audit.record_as_of(%L, ''key'', %L);',
                                target::text, as_of);
    END;
END
$body$;
COMMENT ON FUNCTION audit.table_as_of(anyelement, timestamptz) IS
    'all rows of a table as they were at a point in time: audit.table_as_of(NULL::packages, now() - interval '
    '''1 hour''); columns by their name today. A change counts from the moment at which it was made, even if '
    'it was committed later';
