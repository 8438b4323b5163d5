-- Purpose: shows a record as it was at a point in time.
-- Who may call: audit_reader.
-- Relies on: 60_history.sql, 21_guard_events.sql.
--
-- What held at a point in time is known when no change between then and a known image went unrecorded. So
-- events say when the table was tracked without a gap; inside such a span the nearest record decides.

-- The rows that stand for the whole table or a partition of it. With log_truncated_rows the rows that were
-- removed stand before them, each on its own.
CREATE FUNCTION audit._truncations(target regclass, since timestamptz, until timestamptz)
RETURNS SETOF audit.audit_log
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    known_as record;
BEGIN
    FOR known_as IN SELECT n.* FROM audit._table_names(target) n LOOP
        RETURN QUERY
            SELECT l.* FROM audit.audit_log l
            WHERE l.record_id IS NULL AND l.table_name = known_as.table_name
              AND l.table_schema = known_as.schema_name AND l.operation = 'TRUNCATE'
              AND l.old_record IS NULL
              AND l.logged_at >= greatest(known_as.since, _truncations.since)
              AND l.logged_at < least(known_as.until, _truncations.until);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._truncations(regclass, timestamptz, timestamptz) IS
    'internal: the times at which a table or a partition of it was emptied';

CREATE FUNCTION audit._truncated_rows_logged(target regclass, truncation audit.audit_log) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT NOT coalesce((truncation).context ? 'imported_from', false)
           AND coalesce((audit._options_at(target, (truncation).logged_at) ->> 'log_truncated_rows')::boolean,
                        false)
$body$;
COMMENT ON FUNCTION audit._truncated_rows_logged(regclass, audit.audit_log) IS
    'internal: whether each row that a TRUNCATE removed was logged';

CREATE FUNCTION audit._record_events(target regclass, key text, since timestamptz, until timestamptz)
RETURNS SETOF audit.audit_log
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN QUERY
        SELECT h.*
        FROM audit._table_names(target) n
        CROSS JOIN LATERAL audit._history_rows(
            key, n.schema_name, n.table_name, greatest(n.since, _record_events.since),
            least(n.until, _record_events.until), NULL) h;
    RETURN QUERY SELECT t.* FROM audit._truncations(target, since, until) t;
END
$body$;
COMMENT ON FUNCTION audit._record_events(regclass, text, timestamptz, timestamptz) IS
    'internal: what happened to one record in a span of time, each TRUNCATE included, in no order';

-- With a list of columns an image can be read even where a domain of another column refuses null.
CREATE FUNCTION audit._key_definition(target regclass) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT string_agg(format('%I %s', k.name, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.place)
    FROM unnest(audit._key_columns(target)) WITH ORDINALITY k(name, place)
    JOIN pg_attribute a ON a.attrelid = target AND a.attname = k.name
$body$;
COMMENT ON FUNCTION audit._key_definition(regclass) IS
    'internal: the key columns with their types, as jsonb_to_record takes them';

CREATE FUNCTION audit._key_image(target regclass, record_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    columns constant text[] := audit._key_columns(target);
    image jsonb;
BEGIN
    IF cardinality(columns) > 1 THEN
        SELECT jsonb_object_agg(c.name, record_id::jsonb -> (c.place - 1)::integer) INTO image
        FROM unnest(columns) WITH ORDINALITY c(name, place);
    ELSE
        EXECUTE (SELECT format('SELECT jsonb_build_object(%L, CAST($1 AS %s))', a.attname,
                               format_type(a.atttypid, a.atttypmod))
                 FROM pg_attribute a WHERE a.attrelid = target AND a.attname = columns[1])
        INTO image USING record_id;
    END IF;
    RETURN image;
END
$body$;
COMMENT ON FUNCTION audit._key_image(regclass, text) IS 'internal: a key as the part of an image that it is';

-- The log writes the name without quotes.
CREATE FUNCTION audit._partition_now(target regclass, partition_name text) RETURNS regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT p.relid
    FROM pg_partition_tree(target) p
    JOIN pg_class c ON c.oid = p.relid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE format('%s.%s', n.nspname, c.relname) = partition_name
$body$;
COMMENT ON FUNCTION audit._partition_now(regclass, text) IS
    'internal: the partition of this name; null when it is gone';

-- The columns that a partition is chosen by are always part of the key. Null: that partition is gone.
CREATE FUNCTION audit._in_partition(target regclass, partition_name text, key_image jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    place constant regclass := audit._partition_now(target, partition_name);
    inside boolean;
BEGIN
    IF partition_name IS NULL THEN
        RETURN true;
    END IF;
    IF place IS NOT NULL THEN
        EXECUTE format('SELECT %s FROM jsonb_to_record($1) p(%s)',
                       coalesce(pg_get_partition_constraintdef(place), 'true'),
                       audit._key_definition(target))
        INTO inside USING key_image;
    END IF;
    RETURN inside;
END
$body$;
COMMENT ON FUNCTION audit._in_partition(regclass, text, jsonb) IS
    'internal: whether a row of this key belongs to a partition';

CREATE FUNCTION audit._check_row_security(target regclass) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF row_security_active(target) THEN
        RAISE EXCEPTION 'row security of % hides rows from role %', target, current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As a role that sees all rows: SET ROLE %s; then repeat.',
                                (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = target));
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_row_security(regclass) IS
    'internal: refuses to take what the caller sees of a table for the whole table';

-- A column that was hidden for part of the time may have changed unseen, so it stays hidden for all of it.
CREATE FUNCTION audit._hidden_columns(target regclass, since timestamptz)
RETURNS TABLE (column_name text, is_masked boolean)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH options(state) AS (
        SELECT audit._options_at(target, since)
        UNION ALL
        SELECT CASE WHEN e.kind = 'tracking_changed' THEN e.detail -> 'now' ELSE e.detail END
        FROM audit._tracking_events(target) e
        WHERE e.kind IN ('tracking_enabled', 'tracking_changed') AND e.logged_at > since
        UNION ALL
        SELECT audit._tracking_state(t.trigger_id) FROM audit._own_triggers(target) t
        WHERE t.is_row AND NOT t.is_clone
    )
    SELECT a.attname::text, bool_and(h.is_masked)
    FROM (SELECT e.name, false FROM options o, jsonb_array_elements_text(o.state -> 'exclude') e(name)
          UNION ALL
          SELECT m.name, true FROM options o, jsonb_array_elements_text(o.state -> 'mask') m(name)
          UNION ALL
          SELECT a.attname, true FROM options o
          JOIN pg_attribute a ON a.attrelid = target AND a.attname <> ALL (audit._key_columns(target))
          WHERE (o.state ->> 'degraded')::boolean
          UNION ALL
          SELECT a.attname, false FROM pg_attribute a WHERE a.attrelid = target AND a.attgenerated = 'v'
         ) h(name, is_masked)
    JOIN pg_attribute a ON a.attrelid = target AND a.attname = h.name AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY a.attname
$body$;
COMMENT ON FUNCTION audit._hidden_columns(regclass, timestamptz) IS
    'internal: columns of today that were not logged as they were, all the time since a point in time';

-- As the log would show it: without what is excluded, with null for what is masked.
CREATE FUNCTION audit._live_image(target regclass, key_image jsonb, since timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    same_key text;
    image jsonb;
BEGIN
    PERFORM audit._check_row_security(target);
    -- The index's own operators, wherever they live: others would not find the row by the index.
    SELECT string_agg(format('t.%I OPERATOR(%I.%s) p.%1$I', a.attname, n.nspname, o.oprname), ' AND ')
    INTO same_key
    FROM (SELECT x.* FROM pg_index x
          WHERE x.indrelid = target AND (x.indisprimary OR x.indisreplident)
          ORDER BY x.indisprimary DESC LIMIT 1) i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[], i.indclass::oid[]) WITH ORDINALITY
               k(attnum, opclass, place)
    JOIN pg_attribute a ON a.attrelid = target AND a.attnum = k.attnum
    JOIN pg_opclass c ON c.oid = k.opclass
    JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3
                      AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
    JOIN pg_operator o ON o.oid = m.amopopr
    JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE k.place <= i.indnkeyatts;
    EXECUTE format('SELECT to_jsonb(t) FROM %s %s t CROSS JOIN jsonb_to_record($1) p(%s) WHERE %s',
                   CASE WHEN (SELECT c.relkind FROM pg_class c WHERE c.oid = target) = 'r' THEN 'ONLY' END,
                   target, audit._key_definition(target), same_key)
    INTO image USING key_image;
    SELECT (image - coalesce(array_agg(h.column_name) FILTER (WHERE NOT h.is_masked), '{}'))
           || coalesce(jsonb_object_agg(h.column_name, NULL) FILTER (WHERE h.is_masked), '{}')
    INTO image
    FROM audit._hidden_columns(target, since) h;
    RETURN image;
END
$body$;
COMMENT ON FUNCTION audit._live_image(regclass, jsonb, timestamptz) IS
    'internal: the row with this key as it is now, in the form of the log; null when there is none';

-- An image of detail changed holds nothing but changed fields; any other shows the whole row.
CREATE FUNCTION audit._is_whole(image jsonb, changed_fields text[], columns text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN image <> '{}' AND (changed_fields IS NULL OR image - changed_fields <> '{}' OR image ?& columns);
COMMENT ON FUNCTION audit._is_whole(jsonb, text[], text[]) IS
    'internal: whether an image shows more of a row than the fields that changed';

-- First backwards from the point in time to the nearest whole image, then, where the log has none, forwards
-- to the next whole image or to the live row. Fields that lie nearer to the point in time go over those of
-- images farther away.
CREATE FUNCTION audit._record_state(
    target regclass, key text, key_image jsonb, as_of timestamptz, span tstzrange, empty_at timestamptz[])
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $body$
DECLARE
    cut constant timestamptz := as_of + interval '1 microsecond';
    columns constant text[] := ARRAY(
        SELECT a.attname FROM pg_attribute a
        WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname NOT IN (SELECT h.column_name FROM audit._hidden_columns(target, as_of) h
                                WHERE NOT h.is_masked));
    event audit.audit_log;
    fields jsonb;
    image jsonb := '{}';
    was_hit boolean;
    touched boolean := false;
    lost text;
    live jsonb;
BEGIN
    FOR event IN
        SELECT e.* FROM audit._record_events(target, key, lower(span), cut) e
        ORDER BY e.logged_at DESC, e.id DESC
    LOOP
        IF event.record_id IS NULL THEN
            was_hit := audit._in_partition(target, event.context ->> 'partition', key_image);
            CONTINUE WHEN NOT was_hit;
        ELSE
            was_hit := event.operation IN ('DELETE', 'TRUNCATE') OR event.record_id <> key;
        END IF;
        IF was_hit AND image = '{}' THEN
            RETURN NULL;
        END IF;
        touched := true;
        EXIT WHEN was_hit OR was_hit IS NULL;
        fields := coalesce(event.old_record, '{}') || coalesce(event.new_record, '{}');
        image := fields || image;
        IF audit._is_whole(fields, event.changed_fields, columns) THEN
            RETURN image;
        END IF;
        -- Before it the key was nobody's, or another record's.
        EXIT WHEN event.operation = 'INSERT' OR event.old_record_id <> key;
    END LOOP;
    IF NOT touched AND empty_at[1] <= as_of THEN
        RETURN NULL;
    END IF;

    image := '{}';
    FOR event IN
        SELECT e.* FROM audit._record_events(target, key, cut, coalesce(upper(span), 'infinity')) e
        ORDER BY e.logged_at, e.id
    LOOP
        IF event.record_id IS NULL THEN
            CONTINUE WHEN NOT audit._in_partition(target, event.context ->> 'partition', key_image);
            IF image = '{}' AND audit._truncated_rows_logged(target, event) THEN
                RETURN NULL;
            END IF;
            lost := format('TRUNCATE at %s did not record the rows that it removed', event.logged_at);
        ELSIF event.operation = 'INSERT' OR (event.record_id = key AND event.old_record_id <> key) THEN
            IF image = '{}' THEN
                RETURN NULL;
            END IF;
            lost := 'fields that did not change were not recorded';
        ELSE
            fields := coalesce(event.new_record, '{}') || coalesce(event.old_record, '{}');
            image := fields || image;
            IF audit._is_whole(fields, event.changed_fields, columns) THEN
                RETURN image;
            ELSIF event.operation <> 'UPDATE' OR event.record_id <> key THEN
                lost := 'fields that did not change were not recorded';
            END IF;
        END IF;
        EXIT WHEN lost IS NOT NULL;
    END LOOP;
    IF lost IS NULL AND upper_inf(span) THEN
        live := audit._live_image(target, key_image, as_of);
        IF live IS NOT NULL OR image = '{}' THEN
            RETURN live || image;
        END IF;
        lost := 'fields that did not change were not recorded';
    END IF;
    RAISE EXCEPTION 'what a record of % held at % is not known: %', target, as_of,
                    coalesce(lost, format('changes after %s were not recorded', upper(span)))
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = CASE
                  WHEN lost IS NULL THEN
                      format('SELECT * FROM audit.guard_events WHERE object = %L ORDER BY id;', target::text)
                  WHEN starts_with(lost, 'TRUNCATE') THEN
                      format('From now on: SELECT audit.enable_tracking(%L, log_truncated_rows => true);',
                             target::text)
                  ELSE format('From now on: SELECT audit.enable_tracking(%L, detail => ''delta'');',
                              target::text)
              END;
END
$body$;
COMMENT ON FUNCTION audit._record_state(regclass, text, jsonb, timestamptz, tstzrange, timestamptz[]) IS
    'internal: one record at a point in time of a span in which every change was recorded';

-- The table that a table's rows are logged under, when rows can be told apart.
CREATE FUNCTION audit._logged_table(target regclass) RETURNS regclass
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    logged_as constant regclass := coalesce(audit._tracked_as(target), target);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = logged_as) THEN
        RAISE EXCEPTION 'relation with OID % does not exist', target::oid
            USING ERRCODE = 'undefined_table', HINT = 'SELECT * FROM audit.tracked_tables;';
    ELSIF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = logged_as AND c.relkind IN ('r', 'p')) THEN
        RAISE EXCEPTION '% is not a table', target
            USING ERRCODE = 'wrong_object_type', HINT = 'SELECT * FROM audit.tracked_tables;';
    ELSIF audit._key_columns(logged_as) = '{}' THEN
        RAISE EXCEPTION '% has no key: its records cannot be told apart', logged_as
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('ALTER TABLE %s ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY '
                                'PRIMARY KEY;', logged_as);
    END IF;
    RETURN logged_as;
END
$body$;
COMMENT ON FUNCTION audit._logged_table(regclass) IS
    'internal: the table whose log tells about a table; an error if that cannot be';

-- The settings are those under which the log writes values, since the live row is read as well.
CREATE FUNCTION audit.record_as_of(target regclass, record_id text, as_of timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
SET intervalstyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
SET quote_all_identifiers = off
AS $body$
DECLARE
    logged_as regclass;
    key text;
    known record;
BEGIN
    IF target IS NULL OR record_id IS NULL OR as_of IS NULL THEN
        RAISE EXCEPTION 'target, record_id and as_of must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT audit.record_as_of(''schema_name.table_name'', ''key'', '
                         'now() - interval ''1 hour'');';
    END IF;
    logged_as := audit._logged_table(target);
    key := audit._record_key(logged_as, record_id);
    known := audit._known_span(logged_as, as_of);
    RETURN audit._record_state(logged_as, key, audit._key_image(logged_as, record_id), as_of, known.span,
                               known.empty_at);
END
$body$;
COMMENT ON FUNCTION audit.record_as_of(regclass, text, timestamptz) IS
    'the row with this key as it was at a point in time, in the form of the log; null: there was none. A '
    'change counts from the moment at which it was made, even if it was committed later';

CREATE FUNCTION audit.record_as_of(target regclass, record_id anyelement, as_of timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
SET intervalstyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
AS $body$
    SELECT audit.record_as_of(target, record_id::text, as_of)
$body$;
COMMENT ON FUNCTION audit.record_as_of(regclass, anyelement, timestamptz) IS 'the same for a key of any type';
