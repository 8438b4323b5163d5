-- Purpose: takes over histories that other tools recorded.
-- Who may call: audit_admin, with SELECT on the source.
-- Relies on: 40_partitions.sql, 45_tracking_rules.sql; 71_import_formats.sql when it runs.
--
-- The source is read with the rights of the caller and only the finished rows are handed to what writes them:
-- so nothing that hangs on a table of somebody else can run with the rights of audit_owner, and audit_owner
-- needs no right on that table. What is written is marked, and stands under an event of the same transaction.

CREATE TYPE audit._import_row AS (
    original_id text,
    place bigint,
    logged_at timestamptz,
    operation text,
    table_schema text,
    table_name text,
    table_oid oid,
    original_key text,
    key_record jsonb,
    old_record jsonb,
    new_record jsonb,
    changed_fields text[],
    actor_id text,
    actor_role text,
    login_role text,
    tenant_id text,
    client_ip inet,
    application_name text,
    context jsonb
);
COMMENT ON TYPE audit._import_row IS 'internal: one change as another tool recorded it';
COMMENT ON COLUMN audit._import_row.original_id IS 'what identifies the entry in its source';
COMMENT ON COLUMN audit._import_row.place IS 'order among entries of the same time';
COMMENT ON COLUMN audit._import_row.logged_at IS 'when the change happened';
COMMENT ON COLUMN audit._import_row.operation IS
    'INSERT, UPDATE, DELETE, TRUNCATE; null for what cannot be taken over';
COMMENT ON COLUMN audit._import_row.table_schema IS 'schema of the table, as recorded';
COMMENT ON COLUMN audit._import_row.table_name IS 'name of the table, as recorded';
COMMENT ON COLUMN audit._import_row.table_oid IS 'number of the table, as recorded';
COMMENT ON COLUMN audit._import_row.original_key IS
    'what names the record in the source, where its key is not known';
COMMENT ON COLUMN audit._import_row.key_record IS
    'a row of the record to take the key from, where the images do not hold it';
COMMENT ON COLUMN audit._import_row.old_record IS 'the row before the change';
COMMENT ON COLUMN audit._import_row.new_record IS 'the row after the change';
COMMENT ON COLUMN audit._import_row.changed_fields IS 'columns that changed, where the source says so';
COMMENT ON COLUMN audit._import_row.actor_id IS 'the acting person';
COMMENT ON COLUMN audit._import_row.actor_role IS 'the role in force';
COMMENT ON COLUMN audit._import_row.login_role IS 'the role that logged in';
COMMENT ON COLUMN audit._import_row.tenant_id IS 'the tenant';
COMMENT ON COLUMN audit._import_row.client_ip IS 'the address of the person, else of the connection';
COMMENT ON COLUMN audit._import_row.application_name IS 'application_name of the connection';
COMMENT ON COLUMN audit._import_row.context IS 'further facts about the request';

-- Every name that the options of a tracking trigger mention is hidden, also one that no column has any more:
-- an old image may hold it.
CREATE FUNCTION audit._hidden_names(
    target regclass, OUT exclude text[], OUT mask text[], OUT all_masked boolean)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH own AS (
        SELECT audit._tracking_state(t.trigger_id) AS state, audit._option_names(t.trigger_id) AS names
        FROM audit._own_triggers(target) t
        WHERE t.is_row),
    named AS (
        SELECT o.option, jsonb_array_elements_text(own.names -> o.option) AS name
        FROM own CROSS JOIN (VALUES ('exclude'), ('mask')) o(option)
        UNION
        SELECT o.option, jsonb_array_elements_text(own.state -> o.option)
        FROM own CROSS JOIN (VALUES ('exclude'), ('mask')) o(option))
    SELECT coalesce((SELECT array_agg(n.name) FROM named n WHERE n.option = 'exclude'), '{}'),
           coalesce((SELECT array_agg(n.name) FROM named n WHERE n.option = 'mask'), '{}'),
           coalesce((SELECT bool_or((own.state ->> 'degraded')::boolean) FROM own), false)
$body$;
COMMENT ON FUNCTION audit._hidden_names(regclass) IS
    'internal: the columns that tracking hides, by present and former names; all_masked = all but the key';

-- What a recorded table is today. It is found by its name. Whatever else it may be (a table renamed since, or
-- the one that has the recorded number) decides only on what is hidden: in doubt, more.
CREATE FUNCTION audit._import_target(
    table_schema text, table_name text, table_oid oid, OUT target regclass, OUT is_tracked boolean,
    OUT log_schema text, OUT log_name text, OUT key_columns text[], OUT column_names text[],
    OUT number_columns text[], OUT flag_columns text[], OUT exclude text[], OUT mask text[],
    OUT all_masked boolean, OUT tenant_column text, OUT phi boolean)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    logged_as regclass;
    candidate regclass;
    options record;
BEGIN
    target := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = table_schema AND c.relname = table_name AND c.relkind IN ('r', 'p'));
    logged_as := coalesce(audit._tracked_as(target), target);
    is_tracked := audit._tracked_as(target) IS NOT NULL;
    SELECT n.nspname, c.relname INTO log_schema, log_name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = logged_as;
    log_schema := coalesce(log_schema, table_schema);
    log_name := coalesce(log_name, table_name);
    key_columns := audit._key_columns(logged_as);
    SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}'),
           array_agg(a.attname::text) FILTER (WHERE a.atttypid = ANY (
               '{smallint,integer,bigint,numeric,real,double precision}'::regtype[])),
           array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'boolean'::regtype)
    INTO column_names, number_columns, flag_columns
    FROM pg_attribute a
    WHERE a.attrelid = logged_as AND a.attnum > 0 AND NOT a.attisdropped;
    SELECT s.state ->> 'tenant_column', coalesce((s.state ->> 'phi')::boolean, false)
    INTO tenant_column, phi
    FROM audit._own_triggers(logged_as) t CROSS JOIN LATERAL audit._tracking_state(t.trigger_id) s(state)
    WHERE t.is_row LIMIT 1;
    phi := coalesce(phi, false);

    exclude := '{}';
    mask := '{}';
    all_masked := false;
    FOR candidate IN
        WITH RECURSIVE later AS (
            SELECT table_schema AS schema_name, table_name AS name, 0::bigint AS event
            UNION
            SELECT e.detail ->> 'to_schema', e.detail ->> 'to_name', e.id
            FROM later l JOIN audit.guard_events e
                 ON e.kind = 'table_renamed' AND e.id > l.event AND e.detail ->> 'from_schema' = l.schema_name
                    AND e.detail ->> 'from_name' = l.name)
        SELECT DISTINCT audit._tracked_as(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p')
          AND (c.oid = table_oid OR (n.nspname, c.relname) IN (SELECT l.schema_name, l.name FROM later l))
    LOOP
        options := audit._hidden_names(candidate);
        exclude := exclude || options.exclude;
        mask := mask || options.mask;
        all_masked := all_masked OR options.all_masked;
    END LOOP;
    -- Without the key nobody could tell whose history it is.
    exclude := ARRAY(SELECT e.name FROM unnest(exclude) e(name) WHERE e.name <> ALL (key_columns));
    mask := ARRAY(SELECT m.name FROM unnest(mask) m(name) WHERE m.name <> ALL (key_columns));
END
$body$;
COMMENT ON FUNCTION audit._import_target(text, text, oid) IS
    'internal: under which name the history of a table is written, its key, and what of it is hidden';

-- Months before the first one are cut out of the past leaf as long as that holds no row: rows never move. At
-- most ten years; what is older stays in the past leaf.
CREATE FUNCTION audit._make_past_months(stream regclass, earliest timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    literal constant text := 'YYYY-MM-DD HH24:MI:SS+00';
    retry constant text := 'SELECT * FROM audit.import_history(''schema_name.table_name'', ''supa_audit'');';
    stream_name constant text := (SELECT c.relname FROM pg_class c WHERE c.oid = stream);
    first_month constant timestamp := greatest(date_trunc('month', earliest),
                                               date_trunc('month', now()) - interval '120 months');
    month timestamp := first_month;
    past_leaf regclass;
    past_until timestamp;
    has_rows boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM audit._leaves(stream)) THEN
        PERFORM audit.maintain_partitions();
    END IF;
    IF EXISTS (SELECT FROM audit._missing_leaves(stream)) THEN
        RAISE EXCEPTION 'no partition of % covers some times', stream
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT fix FROM audit.health() WHERE check_name = ''partitions'';';
    END IF;
    SELECT l.leaf, l.upper_bound INTO past_leaf, past_until
    FROM audit._leaves(stream) l WHERE l.lower_bound IS NULL;
    IF month >= past_until THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', past_leaf) INTO has_rows;
    IF has_rows THEN
        RETURN;
    END IF;
    PERFORM audit._run_with_retries(ARRAY[audit._rebound_command(
        stream, stream_name || '_past', stream_name || '_past', NULL, first_month)], retry);
    WHILE month < past_until LOOP
        PERFORM audit._make_leaf(stream, stream_name || to_char(month, '_YYYY_MM'),
                                 format('FROM (%L) TO (%L)', to_char(month, literal),
                                        to_char(month + interval '1 month', literal)));
        month := month + interval '1 month';
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._make_past_months(regclass, timestamptz) IS
    'internal: makes the months from a time in the past to the first one that there is';

CREATE FUNCTION audit._import_known(
    format text, OUT original_id text, OUT logged_at timestamptz, OUT operation text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    covers tstzrange;
BEGIN
    SELECT tstzrange(min((e.detail ->> 'covers_from')::timestamptz),
                     max((e.detail ->> 'covers_until')::timestamptz), '[]')
    INTO covers
    FROM audit.guard_events e
    WHERE e.kind = 'history_imported' AND e.detail ->> 'format' = _import_known.format;
    IF lower(covers) IS NOT NULL THEN
        RETURN QUERY
            SELECT l.context ->> 'original_id', l.logged_at, l.operation::text
            FROM audit.audit_log l
            WHERE l.logged_at >= lower(covers) AND l.logged_at <= upper(covers)
              AND l.context ->> 'imported_from' = _import_known.format
            GROUP BY 1, 2, 3;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._import_known(text) IS 'internal: the entries that earlier imports have written';

-- tables: [{"schema", "name", "rows", "first", "last"}], one for each recorded name.
CREATE FUNCTION audit._import_begin(
    format text, source regclass, tables jsonb, OUT rows_gone bigint, OUT rows_untracked bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
DECLARE
    named record;
BEGIN
    PERFORM audit._make_past_months('audit.audit_log', min(t.first))
    FROM jsonb_to_recordset(tables) t(first timestamptz);
    rows_gone := 0;
    rows_untracked := 0;
    FOR named IN
        SELECT format('%I.%I', a.log_schema, a.log_name) AS object,
               min(t.first) AS first, max(t.last) AS last, sum(t.rows)::bigint AS rows,
               coalesce(sum(t.rows) FILTER (WHERE a.target IS NULL), 0) AS gone,
               coalesce(sum(t.rows) FILTER (WHERE a.target IS NOT NULL AND NOT a.is_tracked), 0) AS untracked
        FROM jsonb_to_recordset(tables)
             t(schema text, name text, rows bigint, first timestamptz, last timestamptz)
        CROSS JOIN LATERAL audit._import_target(t.schema, t.name, NULL) a
        GROUP BY 1 ORDER BY 1
    LOOP
        PERFORM audit._record_event('history_imported', named.object, NULL, jsonb_build_object(
            'format', format, 'source', source::text, 'rows', named.rows, 'covers_from', named.first,
            'covers_until', named.last));
        rows_gone := rows_gone + named.gone;
        rows_untracked := rows_untracked + named.untracked;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._import_begin(text, regclass, jsonb) IS
    'internal: makes the months and the events of an import, before its first row';

CREATE FUNCTION audit._image_key(image jsonb, key_columns text[]) RETURNS text
LANGUAGE plpgsql STABLE STRICT SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    key text;
BEGIN
    IF cardinality(key_columns) = 1 THEN
        key := image ->> key_columns[1];
    ELSIF cardinality(key_columns) > 1 AND image ?& key_columns THEN
        SELECT '[' || string_agg((image -> k.name)::text, ',' ORDER BY k.place) || ']' INTO key
        FROM unnest(key_columns) WITH ORDINALITY k(name, place);
    END IF;
    IF octet_length(key) > 2000 THEN
        RETURN 'sha256:' || encode(sha256(convert_to(key, getdatabaseencoding())), 'hex');
    END IF;
    RETURN key;
END
$body$;
COMMENT ON FUNCTION audit._image_key(jsonb, text[]) IS
    'internal: the key of a row from its image, as the log holds it; null when the image lacks a part of it';

-- hstore knows only text: numbers and truth values become what they are in other images, for keys above all.
CREATE FUNCTION audit._typed_image(image jsonb, number_columns text[], flag_columns text[]) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT jsonb_object_agg(e.key, CASE
        WHEN jsonb_typeof(e.value) <> 'string' THEN e.value
        WHEN e.key = ANY (number_columns) AND v.text ~ '^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?$'
            THEN v.text::jsonb
        WHEN e.key = ANY (flag_columns) AND v.text IN ('t', 'f') THEN to_jsonb(v.text = 't')
        ELSE e.value END)
    FROM jsonb_each(image) e CROSS JOIN LATERAL (SELECT e.value #>> '{}') v(text)
$body$;
COMMENT ON FUNCTION audit._typed_image(jsonb, text[], text[]) IS
    'internal: an image of texts as one of numbers and truth values, where columns are such';

CREATE FUNCTION audit._mask_image(image jsonb, key_columns text[], mask text[], all_masked boolean)
RETURNS jsonb
LANGUAGE sql STABLE STRICT SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(jsonb_object_agg(e.key, CASE WHEN (all_masked OR e.key = ANY (mask))
                                                      AND e.key <> ALL (key_columns)
                                                 THEN 'null' ELSE e.value END), '{}')
    FROM jsonb_each(image) e
$body$;
COMMENT ON FUNCTION audit._mask_image(jsonb, text[], text[], boolean) IS
    'internal: an image with null for masked columns; the key stays';

-- Refuses rows for which _import_begin has written no event in this transaction.
CREATE FUNCTION audit._import_rows(format text, entries audit._import_row[]) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    ids_per_block constant integer := 32;
    this_transaction constant bigint := pg_current_xact_id()::text::bigint;
    unannounced text;
    blocks bigint[];
BEGIN
    SELECT array_agg(nextval('audit.audit_log_id_seq')) INTO blocks
    FROM generate_series(1, (cardinality(entries) + ids_per_block - 1) / ids_per_block);
    WITH target AS MATERIALIZED (
        SELECT n.table_schema, n.table_name, n.table_oid, a.log_schema, a.log_name, a.key_columns,
               a.column_names, a.exclude, a.mask, a.all_masked, a.mask <> '{}' OR a.all_masked AS masks,
               a.tenant_column, a.phi, a.number_columns, a.flag_columns,
               CASE WHEN (a.log_schema, a.log_name) <> (n.table_schema, n.table_name)
                    THEN format('%I.%I', n.table_schema, n.table_name) END AS partition
        FROM (SELECT DISTINCT e.table_schema, e.table_name, e.table_oid FROM unnest(entries) e) n
        CROSS JOIN LATERAL audit._import_target(n.table_schema, n.table_name, n.table_oid) a),
    written AS (
        INSERT INTO audit.audit_log
            (id, logged_at, transaction_id, operation, table_schema, table_name, record_id, old_record_id,
             old_record, new_record, changed_fields, actor_id, actor_role, login_role, tenant_id, client_ip,
             application_name, phi_accessed, context)
        SELECT blocks[(e.ordinality - 1) / ids_per_block + 1] + (e.ordinality - 1) % ids_per_block,
               e.logged_at, this_transaction, e.operation::audit.operation, t.log_schema, t.log_name,
               coalesce(key.new, key.old, key.other,
                        CASE WHEN octet_length(e.original_key) <= 2000 THEN e.original_key END),
               CASE WHEN e.operation = 'UPDATE' AND key.new <> key.old THEN key.old END,
               CASE WHEN t.masks THEN audit._mask_image(shown.old, t.key_columns, t.mask, t.all_masked)
                    ELSE shown.old END,
               CASE WHEN t.masks THEN audit._mask_image(shown.new, t.key_columns, t.mask, t.all_masked)
                    ELSE shown.new END,
               CASE WHEN e.operation = 'UPDATE' AND image.changed IS NOT NULL
                    THEN ARRAY(SELECT c.name FROM unnest(image.changed) c(name)
                               WHERE c.name <> ALL (t.exclude)
                               ORDER BY array_position(t.column_names, c.name), c.name COLLATE "C") END,
               e.actor_id, coalesce(e.actor_role, 'unknown'), coalesce(e.login_role, 'unknown'),
               coalesce(image.new ->> t.tenant_column, image.old ->> t.tenant_column, e.tenant_id),
               e.client_ip, e.application_name, t.phi,
               coalesce(e.context, '{}') || jsonb_strip_nulls(jsonb_build_object(
                   'imported_from', format, 'original_id', e.original_id, 'partition', t.partition))
        FROM unnest(entries) WITH ORDINALITY e
        JOIN target t ON t.table_schema = e.table_schema AND t.table_name = e.table_name
                         AND t.table_oid IS NOT DISTINCT FROM e.table_oid
        CROSS JOIN LATERAL (
            SELECT o.image, n.image,
                   CASE WHEN e.operation <> 'UPDATE' THEN NULL
                        WHEN e.changed_fields IS NOT NULL THEN e.changed_fields
                        WHEN o.image IS NOT NULL AND n.image IS NOT NULL
                        THEN ARRAY(SELECT c.key FROM jsonb_each(n.image) c
                                   WHERE o.image -> c.key IS DISTINCT FROM c.value
                                   UNION ALL
                                   SELECT c.key FROM jsonb_object_keys(o.image) c(key)
                                   WHERE NOT n.image ? c.key) END
            FROM (SELECT CASE WHEN jsonb_typeof(e.old_record) <> 'object' THEN NULL
                              WHEN format = 'audit_trigger'
                              THEN audit._typed_image(e.old_record, t.number_columns, t.flag_columns)
                              ELSE e.old_record END) o(image),
                 (SELECT CASE WHEN jsonb_typeof(e.new_record) <> 'object' THEN NULL
                              WHEN format = 'audit_trigger'
                              THEN audit._typed_image(e.new_record, t.number_columns, t.flag_columns)
                              ELSE e.new_record END) n(image)
            ) image(old, new, changed)
        CROSS JOIN LATERAL (
            SELECT audit._image_key(image.old, t.key_columns), audit._image_key(image.new, t.key_columns),
                   audit._image_key(e.key_record, t.key_columns)) key(old, new, other)
        CROSS JOIN LATERAL (SELECT image.old - t.exclude, image.new - t.exclude) shown(old, new)
        ORDER BY e.ordinality
        RETURNING table_schema, table_name)
    SELECT t.object INTO unannounced
    FROM (SELECT DISTINCT format('%I.%I', w.table_schema, w.table_name) AS object FROM written w) t
    WHERE NOT EXISTS (SELECT FROM audit.guard_events g
                      WHERE g.transaction_id = this_transaction AND g.kind = 'history_imported'
                        AND g.object = t.object AND g.detail ->> 'format' = _import_rows.format)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'no import of the history of % has begun', unannounced
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT * FROM audit.import_history(''schema_name.table_name'', ''supa_audit'');';
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._import_rows(text, audit._import_row[]) IS
    'internal: writes entries that were announced, without what is hidden now, and marked as imported';
