-- Purpose: which tables are sealed, how their columns are described, and how many rows wait.
-- Who may call: internal; other parts join the ledger by one call of _declare_stream.
-- Relies on: 67_ledger_tables.sql and the streams.

-- Names of the encodings, as docs/ledger-format.md gives them. A domain is what it is made of.
CREATE FUNCTION audit._ledger_scalar(type_id oid) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH RECURSIVE base(oid, typtype) AS (
        SELECT t.oid, t.typtype FROM pg_type t WHERE t.oid = type_id
        UNION ALL
        SELECT t.oid, t.typtype FROM base b JOIN pg_type d ON d.oid = b.oid AND b.typtype = 'd'
        JOIN pg_type t ON t.oid = d.typbasetype
    )
    SELECT coalesce(v.name, CASE WHEN b.typtype = 'e' THEN 'text' END)
    FROM base b
    LEFT JOIN (VALUES ('bool'::regtype, 'bool'), ('int2', 'int'), ('int4', 'int'), ('int8', 'int'),
                      ('numeric', 'numeric'), ('float4', 'float'), ('float8', 'float'), ('text', 'text'),
                      ('varchar', 'text'), ('bpchar', 'text'), ('name', 'text'), ('json', 'text'),
                      ('bytea', 'bytea'), ('timestamptz', 'timestamptz'), ('timestamp', 'timestamp'),
                      ('date', 'date'), ('time', 'time'), ('interval', 'interval'), ('uuid', 'uuid'),
                      ('inet', 'inet'), ('cidr', 'inet'), ('jsonb', 'jsonb'), ('xid8', 'u64'),
                      ('pg_lsn', 'u64')) v(type_id, name) ON v.type_id = b.oid
    WHERE b.typtype <> 'd'
$body$;
COMMENT ON FUNCTION audit._ledger_scalar(oid) IS
    'internal: the encoding of a type that is no array; null when there is none';

CREATE FUNCTION audit._ledger_type(type_id oid) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(audit._ledger_scalar(t.oid),
                    CASE WHEN t.typcategory = 'A' THEN 'array:' || audit._ledger_scalar(t.typelem) END)
    FROM pg_type t WHERE t.oid = type_id
$body$;
COMMENT ON FUNCTION audit._ledger_type(oid) IS 'internal: the encoding of a type; null when there is none';

-- The text whose hash is part of every leaf, so it never changes for a given set of columns.
CREATE FUNCTION audit._stream_definition(stream_no smallint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own audit.ledger_streams;
    part record;
    definition text;
BEGIN
    SELECT s.* INTO STRICT own FROM audit.ledger_streams s WHERE s.stream_no = _stream_definition.stream_no;
    definition := format(E'audit_guard schema 1\nstream %s %s\nnumber %s\ntime %s\n', own.stream_no, own.stream,
                         own.number_column, own.time_column);
    FOR part IN
        SELECT a.attnum, a.attname, audit._ledger_type(a.atttypid) AS encoding,
               CASE WHEN a.attname = ANY (own.erasable) THEN 'erasable' ELSE 'plain' END AS manner
        FROM pg_attribute a
        WHERE a.attrelid = format('%I.%I', own.table_schema, own.table_name)::regclass AND a.attnum > 0
          AND NOT a.attisdropped
          AND a.attname <> ALL (ARRAY['transaction_id', 'salt', 'redaction', own.number_column, own.time_column])
        ORDER BY a.attnum
    LOOP
        IF part.encoding IS NULL OR part.attname ~ '[\n\r]' THEN
            RAISE EXCEPTION 'column % of %.% cannot be sealed', quote_ident(part.attname),
                quote_ident(own.table_schema), quote_ident(own.table_name)
                USING ERRCODE = 'feature_not_supported',
                      HINT = 'A stream has columns of the types that docs/ledger-format.md lists.';
        END IF;
        definition := definition || format(E'field %s %s %s %s\n', part.attnum, part.encoding, part.manner,
                                           part.attname);
    END LOOP;
    RETURN definition;
END
$body$;
COMMENT ON FUNCTION audit._stream_definition(smallint) IS
    'internal: the columns of a stream as they are now, in the words of the format';

CREATE FUNCTION audit._declare_stream(
    stream_no smallint, stream text, number_column text, time_column text, erasable text[] DEFAULT '{}')
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    target constant regclass := format('audit.%I', stream)::regclass;
BEGIN
    INSERT INTO audit.ledger_streams
        (stream_no, stream, table_schema, table_name, number_column, time_column, erasable, is_builtin)
    VALUES (_declare_stream.stream_no, _declare_stream.stream, 'audit', _declare_stream.stream,
            _declare_stream.number_column, _declare_stream.time_column, _declare_stream.erasable, true);
    PERFORM audit._stream_definition(stream_no);
    -- The sealer asks for the rows of certain transactions; leaves of a partitioned stream have such a key.
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = target) = 'r' THEN
        EXECUTE format('CREATE INDEX %I ON %s (transaction_id, %I)', stream || '_transaction_idx', target,
                       number_column);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._declare_stream(smallint, text, text, text, text[]) IS
    'internal: makes an append-only table of ours a stream of the ledger';

SELECT audit._declare_stream(
    1::smallint, 'audit_log', 'id', 'logged_at',
    '{record_id,old_record_id,old_record,new_record,actor_id,session_id,client_ip,context}');
SELECT audit._declare_stream(2::smallint, 'guard_events', 'id', 'logged_at', '{reason,actor_id,client_ip}');
SELECT audit._declare_stream(3::smallint, 'guard_policies', 'id', 'set_at');
SELECT audit._declare_stream(4::smallint, 'holds', 'id', 'placed_at');
SELECT audit._declare_stream(5::smallint, 'hold_releases', 'id', 'released_at');
SELECT audit._declare_stream(6::smallint, 'denied_attempts', 'id', 'attempted_at', '{actor_id,client_ip}');

CREATE FUNCTION audit._check_stream(stream text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF stream IS NOT NULL
       AND NOT EXISTS (SELECT FROM audit.ledger_streams s WHERE s.stream = _check_stream.stream) THEN
        RAISE EXCEPTION 'there is no stream "%"', stream
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT stream FROM audit.ledger_streams;';
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_stream(text) IS 'internal: refuses a name that is no stream; null passes';

-- Written when something is sealed for the first time under it, and never by CREATE EXTENSION: a dump brings
-- its own.
CREATE FUNCTION audit._register_schemas()
RETURNS TABLE (stream_no smallint, schema_no integer, definition text, sha256 bytea, table_schema text,
               table_name text, number_column text, time_column text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    FOR stream_no, table_schema, table_name, number_column, time_column IN
        SELECT s.stream_no, s.table_schema, s.table_name, s.number_column, s.time_column
        FROM audit.ledger_streams s ORDER BY s.stream_no
    LOOP
        definition := audit._stream_definition(stream_no);
        sha256 := sha256(convert_to(definition, 'UTF8'));
        SELECT d.schema_no INTO schema_no
        FROM audit.ledger_schemas d
        WHERE d.stream_no = _register_schemas.stream_no AND d.sha256 = _register_schemas.sha256;
        IF NOT FOUND THEN
            -- The sealer and an erasure may both be the first.
            LOCK TABLE audit.ledger_schemas IN SHARE ROW EXCLUSIVE MODE;
            SELECT d.schema_no INTO schema_no
            FROM audit.ledger_schemas d
            WHERE d.stream_no = _register_schemas.stream_no AND d.sha256 = _register_schemas.sha256;
        END IF;
        IF NOT FOUND THEN
            INSERT INTO audit.ledger_schemas (schema_no, stream_no, definition, sha256)
            SELECT coalesce(max(d.schema_no), 0) + 1, _register_schemas.stream_no, _register_schemas.definition,
                   _register_schemas.sha256
            FROM audit.ledger_schemas d
            RETURNING ledger_schemas.schema_no INTO schema_no;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._register_schemas() IS
    'internal: the definition of each stream that is in force, registered if it was not';

-- What stands in our tables may have been changed by somebody, and must not keep anybody from finding that out.
-- A table that a restore left to another role cannot be read; guard_status() says so.
CREATE FUNCTION audit._readable_streams() RETURNS SETOF audit.ledger_streams
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT s.*
    FROM audit.ledger_streams s
    JOIN pg_namespace n ON n.nspname = s.table_schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.table_name
    WHERE (s.stream_no >= 100 OR (s.table_schema = 'audit' AND s.table_name = s.stream))
      AND has_table_privilege(c.oid, 'SELECT')
      AND (SELECT count(*) FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             AND (a.attname, a.atttypid) IN (('transaction_id', 'int8'::regtype), (s.number_column, 'int8'::regtype),
                                             (s.time_column, 'timestamptz'::regtype))) = 3
    ORDER BY s.stream_no
$body$;
COMMENT ON FUNCTION audit._readable_streams() IS
    'internal: the streams whose tables are as they should be, and can be read';

CREATE FUNCTION audit._floor(floors jsonb, stream_no smallint) RETURNS bigint
LANGUAGE sql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN jsonb_typeof(floors -> stream_no::text) = 'number'
                THEN least(greatest((floors ->> stream_no::text)::numeric, -9223372036854775808),
                           9223372036854775807)::bigint END
$body$;
COMMENT ON FUNCTION audit._floor(jsonb, smallint) IS
    'internal: the last row number of a stream before an incarnation; null when there is none';

-- Where the sealer has come to. Rows are waiting when their transaction had not ended in window_start, save
-- those that a batch in the middle of being sealed already has.
CREATE FUNCTION audit._ledger_position(
    OUT incarnation integer, OUT origin text, OUT size bigint, OUT root bytea, OUT sealed_at timestamptz,
    OUT floors jsonb, OUT window_start pg_snapshot, OUT sealed_in_window bigint, OUT closing_rows bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own audit.ledger_incarnations;
    last audit.seals;
BEGIN
    SELECT i.* INTO own FROM audit.ledger_incarnations i ORDER BY i.incarnation DESC LIMIT 1;
    SELECT s.seal_no, s.incarnation, s.batch, s.is_last, s.kind, s.prev_snapshot, s.snapshot, s.size_after,
           s.root_after, s.sealed_at
    INTO last.seal_no, last.incarnation, last.batch, last.is_last, last.kind, last.prev_snapshot, last.snapshot,
         last.size_after, last.root_after, last.sealed_at
    FROM audit.seals s ORDER BY s.seal_no DESC LIMIT 1;
    incarnation := own.incarnation;
    origin := own.origin;
    size := coalesce(last.size_after, 0);
    root := last.root_after;
    sealed_at := last.sealed_at;
    floors := coalesce(own.floors, '{}');
    sealed_in_window := 0;
    window_start := CASE
        WHEN own.incarnation IS NULL THEN pg_snapshot '1:1:'
        WHEN last.incarnation IS DISTINCT FROM own.incarnation OR last.kind = 1 THEN own.start_snapshot
        WHEN last.is_last THEN last.snapshot
        ELSE last.prev_snapshot END;
    IF last.incarnation = own.incarnation AND last.kind = 0 AND NOT last.is_last THEN
        SELECT sum(s.leaves::bigint - 1) INTO sealed_in_window FROM audit.seals s WHERE s.batch = last.batch;
    END IF;
    SELECT count(*) - (SELECT coalesce(sum(s.leaves::bigint - 1), 0) FROM audit.seals s
                       WHERE s.incarnation = own.incarnation AND s.kind = 1)
    INTO closing_rows
    FROM audit.ledger_unsealed u WHERE u.incarnation = own.incarnation;
END
$body$;
COMMENT ON FUNCTION audit._ledger_position() IS
    'internal: how far the ledger has come, and what a row must be like to be still waiting';

-- By the index on the number of the transaction, so this costs as much as rows wait. Nobody needs to know the
-- exact number of more than a million.
CREATE FUNCTION audit._unsealed(OUT waiting bigint, OUT oldest_at timestamptz, OUT first_row text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
DECLARE
    own audit.ledger_streams;
    here constant record := audit._ledger_position();
    found record;
BEGIN
    waiting := here.closing_rows - here.sealed_in_window;
    FOR own IN SELECT s.* FROM audit._readable_streams() s
    LOOP
        EXECUTE format(
            'SELECT count(*) AS n, min(w.at) AS oldest, min(w.number) AS first '
            'FROM (SELECT r.%1$I AS at, r.%2$I AS number FROM %3$I.%4$I r '
            '      WHERE r.transaction_id >= $1 AND r.%2$I > $2 '
            '        AND (r.transaction_id >= $3 '
            '             OR NOT pg_visible_in_snapshot(r.transaction_id::text::xid8, $4)) LIMIT 1000000) w',
            own.time_column, own.number_column, own.table_schema, own.table_name)
        INTO found
        USING pg_snapshot_xmin(here.window_start)::text::bigint,
              coalesce(audit._floor(here.floors, own.stream_no), -9223372036854775808),
              pg_snapshot_xmax(here.window_start)::text::bigint, here.window_start;
        waiting := waiting + found.n;
        oldest_at := least(oldest_at, found.oldest);
        first_row := coalesce(first_row, own.stream || ' ' || found.first);
    END LOOP;
    waiting := greatest(waiting, 0);
END
$body$;
COMMENT ON FUNCTION audit._unsealed() IS
    'internal: how many committed rows no seal has, when the oldest of them was written, and the first one';
