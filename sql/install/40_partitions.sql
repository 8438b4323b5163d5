-- Purpose: makes the partitions (leaves) of the streams: one per month, and two for the rest of time.
-- Who may call: audit_admin calls maintain_partitions; the functions with a leading underscore are internal.
-- Relies on: the streams being members of the extension, 30_guard.sql.
--
-- Leaves are ordinary tables: never extension members, with their own key, indexes and statement trigger, so
-- that every dump carries them. There is no DEFAULT partition: <stream>_past and <stream>_future cover what
-- lies before and after the months made so far, and rows are never moved from one leaf to another.

CREATE FUNCTION audit._streams() RETURNS TABLE (stream regclass, time_column name)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT p.partrelid::regclass, a.attname
    FROM pg_partitioned_table p
    JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = p.partrelid AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
    WHERE e.extname = 'audit_guard'
    ORDER BY p.partrelid
$body$;
COMMENT ON FUNCTION audit._streams() IS
    'internal: the partitioned streams and the column that decides on the month';

-- Bounds are read from the server's own text of them, hence the pinned time zone and date style.
CREATE FUNCTION audit._leaves(stream regclass)
RETURNS TABLE (leaf regclass, lower_bound timestamptz, upper_bound timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
    SELECT c.oid::regclass,
           substring(b.bound FROM $re$^FOR VALUES FROM \('([^']+)'\)$re$)::timestamptz,
           substring(b.bound FROM $re$ TO \('([^']+)'\)$$re$)::timestamptz
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) b(bound)
    WHERE i.inhparent = _leaves.stream
    ORDER BY 2 NULLS FIRST
$body$;
COMMENT ON FUNCTION audit._leaves(regclass) IS
    'internal: the leaves of a stream with their bounds, in order of time; null = unbounded';

-- DDL on a stream never queues: whoever waits for a lock makes everybody behind wait too. So each attempt
-- gives up after 50 ms, and the pauses between attempts let readers and writers through.
CREATE FUNCTION audit._run_with_retries(
    commands text[], retry text DEFAULT 'SELECT audit.maintain_partitions();')
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
AS $body$
DECLARE
    attempts constant integer := 40;
    command text;
BEGIN
    FOR attempt IN 1..attempts LOOP
        BEGIN
            FOREACH command IN ARRAY commands LOOP
                EXECUTE command;
            END LOOP;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF attempt = attempts THEN
                RAISE EXCEPTION 'no lock on the audit log after % attempts', attempts
                    USING ERRCODE = 'lock_not_available',
                          DETAIL = 'Another session makes partitions, or reads or writes the log in a long '
                                   'transaction.',
                          HINT = 'When it has ended: ' || retry;
            END IF;
        END;
        PERFORM pg_sleep(least(0.01 * attempt, 0.25));
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._run_with_retries(text[], text) IS
    'internal: runs all commands or none of them, without ever queueing for a lock';

-- Where ids are uuids, a number beside them is what the key and the ledger go by.
CREATE FUNCTION audit._number_column(stream regclass) RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN a.atttypid = 'uuid'::regtype THEN 'number' ELSE 'id' END::name
    FROM pg_attribute a WHERE a.attrelid = _number_column.stream AND a.attname = 'id'
$body$;
COMMENT ON FUNCTION audit._number_column(regclass) IS 'internal: the column that numbers the rows of a stream';

-- The leaf that is being written pays for every index on every row, so there are only the first three. The
-- others are built by index_log(), and what one leaf has of them, each new leaf gets: so the choice travels
-- with the leaves in a dump.
CREATE FUNCTION audit._leaf_indexes(stream regclass, chosen text[] DEFAULT '{}')
RETURNS TABLE (suffix text, definition text)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT v.suffix, v.definition
    FROM (VALUES
        ('audit.audit_log', 'record_idx', 'USING btree (record_id, table_name)', false),
        ('audit.audit_log', 'old_record_idx',
         'USING btree (old_record_id, table_name) WHERE old_record_id IS NOT NULL', false),
        ('audit.audit_log', 'logged_at_idx', 'USING brin (logged_at, id) WITH (autosummarize = on)', false),
        ('audit.audit_log', 'actor_idx', 'USING btree (actor_id, logged_at) WHERE actor_id IS NOT NULL', true),
        ('audit.audit_log', 'tenant_idx', 'USING btree (tenant_id, logged_at) WHERE tenant_id IS NOT NULL',
         true),
        ('audit.denied_attempts', 'attempted_at_idx',
         'USING brin (attempted_at, id) WITH (autosummarize = on)', false),
        ('audit.security_events', 'logged_at_idx',
         'USING brin (logged_at, number, id) WITH (autosummarize = on)', false),
        ('audit.security_events', 'user_idx',
         'USING btree (user_id, logged_at) WHERE user_id IS NOT NULL', false),
        ('audit.security_events', 'subject_idx',
         'USING btree (subject, logged_at) WHERE subject IS NOT NULL', false),
        ('audit.security_events', 'type_idx', 'USING btree (event_type, logged_at)', false),
        ('audit.security_events', 'severity_idx',
         'USING btree (severity, logged_at) WHERE severity IN (''warning'', ''critical'')', false),
        ('audit.security_events', 'tenant_idx',
         'USING btree (tenant_id, logged_at) WHERE tenant_id IS NOT NULL', false)
    ) v(stream, suffix, definition, on_request)
    WHERE v.stream = _leaf_indexes.stream::text
      AND (NOT v.on_request
           OR v.suffix = ANY (_leaf_indexes.chosen)
           OR EXISTS (SELECT FROM pg_inherits h
                      JOIN pg_class leaf ON leaf.oid = h.inhrelid
                      JOIN pg_index i ON i.indrelid = leaf.oid
                      JOIN pg_class x ON x.oid = i.indexrelid
                      WHERE h.inhparent = _leaf_indexes.stream
                        AND x.relname = leaf.relname || '_' || v.suffix))
$body$;
COMMENT ON FUNCTION audit._leaf_indexes(regclass, text[]) IS
    'internal: the indexes of a leaf beside its primary key';

-- Commands that make one leaf and attach it. Nothing is inherited but columns, defaults and CHECKs; the
-- parent's row trigger is cloned by ATTACH, so a leaf gets only the statement trigger, which is not. Row
-- security without a policy: members of pg_read_all_data and pg_write_all_data need no grant on a leaf.
CREATE FUNCTION audit._leaf_commands(stream regclass, leaf text, bounds text) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own_index record;
    commands text[] := ARRAY[
        format('CREATE TABLE audit.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE '
               'INCLUDING COMPRESSION)', leaf, stream),
        format('ALTER TABLE audit.%I ADD CONSTRAINT %I PRIMARY KEY (transaction_id, %I)', leaf, leaf || '_pkey',
               audit._number_column(stream))];
BEGIN
    FOR own_index IN SELECT i.suffix, i.definition FROM audit._leaf_indexes(stream) i LOOP
        commands := commands || format('CREATE INDEX %I ON audit.%I %s', leaf || '_' || own_index.suffix,
                                       leaf, own_index.definition);
    END LOOP;
    RETURN commands || ARRAY[
        format('CREATE TRIGGER immutable_statement BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE '
               'ON audit.%I FOR EACH STATEMENT EXECUTE FUNCTION audit.prevent_modification()', leaf),
        format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER immutable_statement', leaf),
        format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', leaf),
        format('COMMENT ON TABLE audit.%I IS %L', leaf, 'a part of ' || stream::text),
        format('ALTER TABLE %s ATTACH PARTITION audit.%I FOR VALUES %s', stream, leaf, bounds)];
END
$body$;
COMMENT ON FUNCTION audit._leaf_commands(regclass, text, text) IS
    'internal: the commands that make and attach one leaf';

CREATE FUNCTION audit._make_leaf(stream regclass, leaf text, bounds text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    qualified constant text := format('audit.%I', leaf);
BEGIN
    IF to_regclass(qualified) IS NOT NULL THEN
        RAISE EXCEPTION '% exists and is not attached to %', qualified, stream
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES %s;',
                                stream, qualified, bounds);
    END IF;
    PERFORM audit._run_with_retries(audit._leaf_commands(stream, leaf, bounds));
    -- A leaf that belongs to an extension would silently be missing from every dump.
    IF EXISTS (SELECT FROM pg_depend d
               WHERE d.classid = 'pg_class'::regclass AND d.objid = qualified::regclass
                 AND d.deptype = 'e') THEN
        RAISE EXCEPTION 'partitions of % cannot be made inside CREATE or ALTER EXTENSION', stream
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Before it: SELECT audit.maintain_partitions();';
    END IF;
    RETURN qualified;
END
$body$;
COMMENT ON FUNCTION audit._make_leaf(regclass, text, text) IS 'internal: makes one leaf and returns its name';

-- A leaf is detached, renamed and attached again in one call, which nobody else may do by statements of their own.
CREATE FUNCTION audit._rebound_leaf(
    stream regclass, leaf regclass, new_name name, lower_bound timestamptz, upper_bound timestamptz)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'rebound_leaf_wrapper';
COMMENT ON FUNCTION audit._rebound_leaf(regclass, regclass, name, timestamptz, timestamptz) IS
    'internal: gives a leaf other bounds and another name; a bound that is null is open';

CREATE FUNCTION audit._rebound_command(
    stream regclass, leaf text, new_name text, lower_bound timestamp, upper_bound timestamp)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('SELECT audit._rebound_leaf(%L, %L, %L, %L, %L)', stream, format('audit.%I', leaf), new_name,
                  lower_bound AT TIME ZONE 'UTC', upper_bound AT TIME ZONE 'UTC')
$body$;
COMMENT ON FUNCTION audit._rebound_command(regclass, text, text, timestamp, timestamp) IS
    'internal: the call of _rebound_leaf, with times in UTC';

-- The future leaf holds rows when nobody made months in time. It then stays where it is as an ordinary,
-- wider leaf that ends with the month of its newest row. Returns where the next leaf begins.
CREATE FUNCTION audit._keep_future_rows(
    stream regclass, time_column name, stream_name text, starts_at timestamp)
RETURNS timestamp
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    old_name constant text := stream_name || '_future';
    last_month timestamp;
    new_name text;
    index_name text;
    commands text[];
BEGIN
    -- Nobody adds a later row meanwhile.
    PERFORM audit._run_with_retries(ARRAY[format('LOCK TABLE audit.%I IN SHARE ROW EXCLUSIVE MODE', old_name)]);
    EXECUTE format('SELECT date_trunc(''month'', max(%I) AT TIME ZONE ''UTC'') FROM audit.%I',
                   time_column, old_name) INTO last_month;
    new_name := stream_name || to_char(starts_at, '_YYYY_MM');
    IF last_month > starts_at THEN
        new_name := new_name || to_char(last_month, '"_to"_YYYY_MM');
    END IF;
    commands := ARRAY[audit._rebound_command(stream, old_name, new_name, starts_at,
                                             last_month + interval '1 month')];
    FOR index_name IN
        SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = format('audit.%I', old_name)::regclass AND starts_with(c.relname, old_name || '_')
    LOOP
        commands := commands || format('ALTER INDEX audit.%I RENAME TO %I', index_name,
                                       new_name || substr(index_name, length(old_name) + 1));
    END LOOP;
    PERFORM audit._run_with_retries(commands);
    RETURN last_month + interval '1 month';
END
$body$;
COMMENT ON FUNCTION audit._keep_future_rows(regclass, name, text, timestamp) IS
    'internal: turns a future leaf that holds rows into an ordinary leaf';

-- Times that no leaf covers: a row of such a time cannot be logged. Either the leaf was dropped, or it was
-- detached, still stands in the schema under the name that we gave it, and only has to be attached again. A
-- gap is cut into months; one of more than twenty years, which only a wide leaf leaves behind, is not.
CREATE FUNCTION audit._missing_leaves(stream regclass)
RETURNS TABLE (leaf text, bounds text, ends_at timestamptz, is_edge boolean, attach text)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
DECLARE
    literal constant text := 'YYYY-MM-DD HH24:MI:SS+00';
    stream_name constant text := (SELECT c.relname FROM pg_class c WHERE c.oid = stream);
    gap tstzrange;
    starts_at timestamptz;
    month text;
BEGIN
    FOR gap IN
        SELECT u.gap
        FROM unnest((SELECT '{(,)}'::tstzmultirange - range_agg(tstzrange(l.lower_bound, l.upper_bound))
                     FROM audit._leaves(stream) l)) u(gap)
    LOOP
        starts_at := lower(gap);
        is_edge := starts_at IS NULL OR upper(gap) IS NULL;
        LOOP
            IF is_edge THEN
                leaf := stream_name || CASE WHEN starts_at IS NULL THEN '_past' ELSE '_future' END;
                ends_at := upper(gap);
            ELSE
                month := stream_name || to_char(starts_at, '_YYYY_MM');
                SELECT c.relname INTO leaf
                FROM pg_class c
                WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
                  AND c.relname ~ ('^' || month || '(_to_[0-9]{4,5}_[0-9]{2})?$')
                ORDER BY c.relname LIMIT 1;
                IF leaf IS NULL AND starts_at + interval '20 years' < upper(gap) THEN
                    leaf := month || to_char(upper(gap) - interval '1 month', '"_to"_YYYY_MM');
                END IF;
                leaf := coalesce(leaf, month);
                ends_at := greatest(starts_at, to_timestamp(substring(leaf FROM '_to_(.*)$'), 'YYYY_MM'));
                ends_at := least(date_trunc('month', ends_at) + interval '1 month', upper(gap));
            END IF;
            bounds := format('FROM (%s) TO (%s)',
                             coalesce(quote_literal(to_char(starts_at, literal)), 'MINVALUE'),
                             coalesce(quote_literal(to_char(ends_at, literal)), 'MAXVALUE'));
            attach := CASE WHEN to_regclass(format('audit.%I', leaf)) IS NOT NULL
                           THEN format('ALTER TABLE %s ATTACH PARTITION audit.%I FOR VALUES %s;', stream,
                                       leaf, bounds) END;
            RETURN NEXT;
            EXIT WHEN is_edge OR ends_at >= upper(gap);
            starts_at := ends_at;
        END LOOP;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._missing_leaves(regclass) IS
    'internal: the leaves that are missing, with their bounds, and the command that attaches a detached one';

CREATE FUNCTION audit._maintain_stream(stream regclass, time_column name, months_ahead integer)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    literal constant text := 'YYYY-MM-DD HH24:MI:SS+00';
    stream_name constant text := (SELECT c.relname FROM pg_class c WHERE c.oid = stream);
    this_month constant timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
    wanted constant timestamp := this_month + make_interval(months => months_ahead + 1);
    made_until timestamp;
    past_until timestamp;
    future_from timestamp;
    has_rows boolean := false;
    missing record;
BEGIN
    SELECT l.lower_bound INTO future_from
    FROM audit._leaves(stream) l WHERE l.upper_bound IS NULL AND l.lower_bound IS NOT NULL;
    IF future_from >= wanted AND NOT EXISTS (SELECT FROM audit._missing_leaves(stream)) THEN
        RETURN;
    END IF;

    -- Conflicts with itself and with ATTACH, not with readers or writers: one session at a time makes leaves.
    PERFORM audit._run_with_retries(ARRAY[
        format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', stream)]);
    IF (SELECT count(*) FROM audit._leaves(stream))
       <> (SELECT count(*) FROM pg_partition_tree(stream) t WHERE t.level = 1) THEN
        RAISE EXCEPTION 'partitions of % were made after this transaction began', stream
            USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
    END IF;
    -- Whether a leaf that somebody detached may return, nobody but them can say. Where rows of now or of
    -- later cannot be logged without it, they are asked; else only health() goes on showing it.
    FOR missing IN SELECT m.* FROM audit._missing_leaves(stream) m LOOP
        IF missing.attach IS NULL AND NOT missing.is_edge THEN
            RETURN NEXT audit._make_leaf(stream, missing.leaf, missing.bounds);
        ELSIF missing.attach IS NOT NULL AND (missing.is_edge OR missing.ends_at > clock_timestamp()) THEN
            RAISE EXCEPTION 'audit.% exists and is not attached to %', quote_ident(missing.leaf), stream
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = missing.attach;
        END IF;
    END LOOP;
    SELECT max(l.lower_bound) FILTER (WHERE l.upper_bound IS NULL),
           coalesce(max(l.upper_bound), this_month),
           min(l.lower_bound) FILTER (WHERE NOT EXISTS (
               SELECT FROM audit._leaves(stream) edge WHERE edge.lower_bound IS NULL))
    INTO future_from, made_until, past_until
    FROM audit._leaves(stream) l;
    IF NOT EXISTS (SELECT FROM audit._leaves(stream)) THEN
        past_until := this_month;
    END IF;
    IF past_until IS NOT NULL THEN
        RETURN NEXT audit._make_leaf(stream, stream_name || '_past',
                                     format('FROM (MINVALUE) TO (%L)', to_char(past_until, literal)));
    END IF;
    IF future_from >= wanted THEN
        RETURN;
    ELSIF future_from IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM audit.%I)', stream_name || '_future') INTO has_rows;
        made_until := future_from;
        IF has_rows THEN
            made_until := audit._keep_future_rows(stream, time_column, stream_name, future_from);
        ELSE
            -- Out of the way of the months to be made.
            PERFORM audit._run_with_retries(ARRAY[audit._rebound_command(
                stream, stream_name || '_future', stream_name || '_future', wanted, NULL)]);
        END IF;
    END IF;
    WHILE made_until < wanted LOOP
        RETURN NEXT audit._make_leaf(stream, stream_name || to_char(made_until, '_YYYY_MM'),
                                     format('FROM (%L) TO (%L)', to_char(made_until, literal),
                                            to_char(made_until + interval '1 month', literal)));
        made_until := made_until + interval '1 month';
    END LOOP;
    IF future_from IS NULL OR has_rows THEN
        RETURN NEXT audit._make_leaf(stream, stream_name || '_future',
                                     format('FROM (%L) TO (MAXVALUE)', to_char(made_until, literal)));
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._maintain_stream(regclass, name, integer) IS
    'internal: makes the missing leaves of one stream and returns their names';

CREATE FUNCTION audit.maintain_partitions(months_ahead integer DEFAULT 24) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF months_ahead IS NULL THEN
        RAISE EXCEPTION 'months_ahead must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'SELECT audit.maintain_partitions();';
    ELSIF months_ahead NOT BETWEEN 0 AND 240 THEN
        RAISE EXCEPTION 'months_ahead must be between 0 and 240'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT audit.maintain_partitions();';
    END IF;
    RETURN QUERY
        SELECT made.leaf
        FROM audit._streams() s, audit._maintain_stream(s.stream, s.time_column, months_ahead) made(leaf);
END
$body$;
COMMENT ON FUNCTION audit.maintain_partitions(integer) IS
    'makes the months up to months_ahead from now and returns what it made; call it once a month, at any '
    'time';
