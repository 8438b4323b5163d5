-- Purpose: reads the tables of other tools, and the function that takes them over.
-- Who may call: audit_admin, with SELECT on the source.
-- Relies on: 70_import.sql.

-- What the tools' tables look like. relation: '' is the source itself, else a table beside it. A type is
-- named as pg_type names it; 'enum' is any enum, 'hstore' the type of that extension. Of the columns that are
-- not needed, those that are there are used.
CREATE FUNCTION audit._import_layout(format text)
RETURNS TABLE (relation text, column_name text, types text[], is_needed boolean)
LANGUAGE sql IMMUTABLE STRICT SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT v.relation, v.column_name, v.types::text[], v.is_needed
    FROM (VALUES
        ('supa_audit', '', 'id', '{int8}', true),
        ('supa_audit', '', 'record_id', '{uuid,text}', true),
        ('supa_audit', '', 'ts', '{timestamptz}', true),
        ('supa_audit', '', 'table_schema', '{name,text}', true),
        ('supa_audit', '', 'table_name', '{name,text}', true),
        ('supa_audit', '', 'record', '{jsonb}', true),
        ('supa_audit', '', 'old_record', '{jsonb}', true),
        ('supa_audit', '', 'old_record_id', '{uuid,text}', false),
        ('supa_audit', '', 'op', '{enum,text,varchar}', false),
        ('supa_audit', '', 'table_oid', '{oid}', false),
        ('supa_audit', '', 'auth_uid', '{uuid,text}', false),
        ('supa_audit', '', 'auth_role', '{text}', false),
        ('audit_trigger', '', 'event_id', '{int8,int4}', true),
        ('audit_trigger', '', 'schema_name', '{text,name}', true),
        ('audit_trigger', '', 'table_name', '{text,name}', true),
        ('audit_trigger', '', 'action_tstamp_tx', '{timestamptz}', true),
        ('audit_trigger', '', 'action', '{text,bpchar,varchar,enum}', true),
        ('audit_trigger', '', 'row_data', '{hstore,jsonb}', true),
        ('audit_trigger', '', 'changed_fields', '{hstore,jsonb}', true),
        ('audit_trigger', '', 'action_tstamp_stm', '{timestamptz}', false),
        ('audit_trigger', '', 'action_tstamp_clk', '{timestamptz}', false),
        ('audit_trigger', '', 'relid', '{oid}', false),
        ('audit_trigger', '', 'session_user_name', '{text,name}', false),
        ('audit_trigger', '', 'transaction_id', '{int8}', false),
        ('audit_trigger', '', 'application_name', '{text}', false),
        ('audit_trigger', '', 'client_addr', '{inet}', false),
        ('colony', '', 'id', '{uuid}', true),
        ('colony', '', 'table_schema', '{text,name}', true),
        ('colony', '', 'table_name', '{text,name}', true),
        ('colony', '', 'old_record', '{jsonb}', true),
        ('colony', '', 'new_record', '{jsonb}', true),
        ('colony', '', 'logged_at', '{timestamptz}', true),
        ('colony', '', 'operation', '{enum,text}', false),
        ('colony', '', 'table_oid', '{oid}', false),
        ('colony', '', 'record_id', '{uuid,text}', false),
        ('colony', '', 'record_pk', '{jsonb}', false),
        ('colony', '', 'changed_fields', '{_text}', false),
        ('colony', '', 'actor_id', '{uuid,text}', false),
        ('colony', '', 'actor_role', '{text}', false),
        ('colony', '', 'actor_ip', '{inet}', false),
        ('colony', '', 'actor_user_agent', '{text}', false),
        ('colony', '', 'community_id', '{uuid,text}', false),
        ('colony', '', 'transaction_id', '{int8}', false),
        ('colony', 'security_events', 'id', '{uuid}', true),
        ('colony', 'security_events', 'event_type', '{enum,text}', true),
        ('colony', 'security_events', 'description', '{text}', true),
        ('colony', 'security_events', 'severity', '{text}', true),
        ('colony', 'security_events', 'logged_at', '{timestamptz}', true),
        ('colony', 'security_events', 'user_id', '{uuid}', false),
        ('colony', 'security_events', 'session_id', '{uuid}', false),
        ('colony', 'security_events', 'community_id', '{uuid,text}', false),
        ('colony', 'security_events', 'metadata', '{jsonb}', false),
        ('colony', 'security_events', 'ip_address', '{inet}', false),
        ('colony', 'security_events', 'user_agent', '{text}', false),
        ('colony', 'security_events', 'entity_type', '{text}', false),
        ('colony', 'security_events', 'entity_id', '{uuid,text}', false),
        ('colony', 'user_sessions', 'id', '{uuid}', true),
        ('colony', 'user_sessions', 'user_id', '{uuid}', true),
        ('colony', 'user_sessions', 'ip_address', '{inet}', true),
        ('colony', 'user_sessions', 'created_at', '{timestamptz}', true),
        ('colony', 'user_sessions', 'last_active_at', '{timestamptz}', true),
        ('colony', 'user_sessions', 'terminated_at', '{timestamptz}', true),
        ('colony', 'user_sessions', 'termination_reason', '{text}', true),
        ('colony', 'user_sessions', 'expires_at', '{timestamptz}', false),
        ('colony', 'user_sessions', 'auth_session_id', '{text}', false),
        ('colony', 'user_sessions', 'device_fingerprint', '{text}', false),
        ('colony', 'user_sessions', 'device_id', '{text}', false),
        ('colony', 'user_sessions', 'device_type', '{text}', false),
        ('colony', 'user_sessions', 'device_model', '{text}', false),
        ('colony', 'user_sessions', 'browser', '{text}', false),
        ('colony', 'user_sessions', 'browser_version', '{text}', false),
        ('colony', 'user_sessions', 'os', '{text}', false),
        ('colony', 'user_sessions', 'os_version', '{text}', false),
        ('colony', 'user_sessions', 'screen_resolution', '{text}', false),
        ('colony', 'user_sessions', 'country', '{text}', false),
        ('colony', 'user_sessions', 'region', '{text}', false),
        ('colony', 'user_sessions', 'city', '{text}', false),
        ('colony', 'user_sessions', 'latitude', '{numeric}', false),
        ('colony', 'user_sessions', 'longitude', '{numeric}', false),
        ('colony', 'user_sessions', 'is_suspicious', '{bool}', false),
        ('colony', 'user_sessions', 'suspicious_reason', '{text}', false),
        ('colony', 'user_sessions', 'app_version', '{text}', false),
        ('pgmemento', '', 'id', '{int8}', true),
        ('pgmemento', '', 'audit_id', '{int8}', true),
        ('pgmemento', '', 'event_key', '{text}', true),
        ('pgmemento', '', 'old_data', '{jsonb}', true),
        ('pgmemento', '', 'new_data', '{jsonb}', false),
        ('pgmemento', 'table_event_log', 'event_key', '{text}', true),
        ('pgmemento', 'table_event_log', 'transaction_id', '{int4,int8}', true),
        ('pgmemento', 'table_event_log', 'stmt_time', '{timestamptz}', true),
        ('pgmemento', 'table_event_log', 'op_id', '{int2,int4}', true),
        ('pgmemento', 'table_event_log', 'schema_name', '{text,name}', true),
        ('pgmemento', 'table_event_log', 'table_name', '{text,name}', true),
        ('pgmemento', 'transaction_log', 'id', '{int4,int8}', true),
        ('pgmemento', 'transaction_log', 'txid', '{int8}', false),
        ('pgmemento', 'transaction_log', 'user_name', '{text,name}', false),
        ('pgmemento', 'transaction_log', 'client_name', '{text}', false),
        ('pgmemento', 'transaction_log', 'application_name', '{text}', false),
        ('pgmemento', 'transaction_log', 'session_info', '{jsonb}', false)
    ) v(format, relation, column_name, types, is_needed)
    WHERE v.format = _import_layout.format
$body$;
COMMENT ON FUNCTION audit._import_layout(text) IS 'internal: the columns of another tool''s tables';

-- Reading must run no code of whoever made the table: hence no view, foreign table or policy, and no column
-- of a type that is not the server's own. Returns a query of the columns of the layout, null for those that
-- are not there.
CREATE FUNCTION audit._import_relation(source regclass, format text, part text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    copy constant text := format('Import a copy: CREATE TABLE public.history_copy AS SELECT * FROM %s;',
                                 source);
    needs constant text := (SELECT string_agg(l.column_name || ' ' || array_to_string(l.types, ' or '), ', ')
                            FROM audit._import_layout(format) l WHERE l.relation = part AND l.is_needed);
    relation pg_class;
    wrong record;
BEGIN
    SELECT c.* INTO relation FROM pg_class c WHERE c.oid = source;
    IF relation.relkind NOT IN ('r', 'p')
       OR EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                  WHERE i.inhparent = source AND NOT c.relispartition)
       OR EXISTS (SELECT FROM pg_partition_tree(source) t JOIN pg_class c ON c.oid = t.relid
                  WHERE c.relkind = 'f') THEN
        RAISE EXCEPTION '% is not an ordinary table: a history is imported from a table only', source
            USING ERRCODE = 'wrong_object_type', HINT = copy;
    ELSIF NOT has_table_privilege(source, 'SELECT') THEN
        RAISE EXCEPTION 'permission denied for table %', source
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('GRANT SELECT ON %s TO %I;', source, current_user);
    ELSIF row_security_active(source) THEN
        RAISE EXCEPTION 'row security hides rows of % from you: a history is imported whole', source
            USING ERRCODE = 'insufficient_privilege', HINT = copy || ' as its owner.';
    END IF;

    SELECT l.column_name, l.is_needed, l.types, a.attname IS NULL AS is_missing INTO wrong
    FROM audit._import_layout(format) WITH ORDINALITY l(relation, column_name, types, is_needed, place)
    LEFT JOIN pg_attribute a ON a.attrelid = source AND a.attname = l.column_name AND a.attnum > 0
                                AND NOT a.attisdropped
    LEFT JOIN pg_type t ON t.oid = a.atttypid
    WHERE l.relation = part
      AND CASE WHEN a.attname IS NULL THEN l.is_needed
               ELSE a.attgenerated <> '' OR CASE
                   WHEN t.typtype = 'e' THEN 'enum'
                   WHEN t.typtype = 'b' AND t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text
                   WHEN EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                                JOIN pg_cast k ON k.castsource = t.oid AND k.casttarget = 'jsonb'::regtype
                                JOIN pg_depend f ON f.classid = 'pg_proc'::regclass AND f.objid = k.castfunc
                                                    AND f.refobjid = e.oid AND f.deptype = 'e'
                                WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
                                  AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'hstore')
                       THEN t.typname::text
                   ELSE '' END <> ALL (l.types) END
    ORDER BY a.attname IS NOT NULL, l.place LIMIT 1;
    IF wrong.is_missing THEN
        RAISE EXCEPTION '% has no column "%", which the layout of % has', source, wrong.column_name, format
            USING ERRCODE = 'undefined_column', HINT = format('%s needs: %s', format, needs);
    ELSIF NOT wrong.is_missing THEN
        RAISE EXCEPTION 'column "%" of % must be a plain % column, as in the layout of %', wrong.column_name,
            source, array_to_string(wrong.types, ' or '), format
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'In a copy, cast it: CREATE TABLE public.history_copy AS SELECT ...;';
    END IF;
    RETURN (SELECT format('(SELECT %s FROM %s)', string_agg(
                       CASE WHEN a.attname IS NULL
                            THEN format('NULL::%s AS %I', replace(l.types[1], 'enum', 'text'), l.column_name)
                            ELSE quote_ident(l.column_name) END, ', '), source)
            FROM audit._import_layout(format) l
            LEFT JOIN pg_attribute a ON a.attrelid = source AND a.attname = l.column_name AND a.attnum > 0
                                        AND NOT a.attisdropped
            WHERE l.relation = part);
END
$body$;
COMMENT ON FUNCTION audit._import_relation(regclass, text, text) IS
    'internal: refuses what cannot be read safely or is not in the layout; returns a query that reads it';

-- pgmemento numbers the rows of the tables themselves, in a column of theirs: so a table that still has it
-- says which key belongs to which number. Only keys of the server's own types are read.
CREATE FUNCTION audit._pgmemento_keys(tables oid[]) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(string_agg(format(' UNION ALL SELECT 1, v.%I, jsonb_build_object(%s) FROM %s v',
                                      number.attname, key.members, c.oid::regclass), ''), '')
    FROM pg_class c
    JOIN pg_attribute number ON number.attrelid = c.oid AND number.atttypid = 'bigint'::regtype
                                AND number.attname IN ('pgmemento_audit_id', 'audit_id')
    CROSS JOIN LATERAL (
        SELECT string_agg(format('%L, v.%I', k.name, k.name), ', '), bool_and(t.oid < 16384)
        FROM unnest(audit._key_columns(c.oid)) k(name)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = k.name
        JOIN pg_type t ON t.oid = a.atttypid) key(members, is_plain)
    WHERE c.oid = ANY (_pgmemento_keys.tables) AND c.relkind IN ('r', 'p') AND key.is_plain
      AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)
$body$;
COMMENT ON FUNCTION audit._pgmemento_keys(oid[]) IS
    'internal: the rest of a query that reads numbers and keys of the rows that are there';

-- The columns are those of audit._import_row in their order.
CREATE FUNCTION audit._import_query(source regclass, format text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    main constant text := audit._import_relation(source, format, '');
    beside text;
    others text[];
    tables oid[];
    -- A column of a type that belonged to the other tool goes with it, and the images say the same.
    operation constant text :=
        'CASE WHEN %1$s IN (''INSERT'', ''UPDATE'', ''DELETE'', ''TRUNCATE'') THEN %1$s
              WHEN %1$s = ''SNAPSHOT'' THEN ''INSERT''
              WHEN %1$s IS NOT NULL THEN NULL
              WHEN %2$s IS NULL AND %3$s IS NULL THEN ''TRUNCATE''
              WHEN %2$s IS NULL THEN ''INSERT''
              WHEN %3$s IS NULL THEN ''DELETE'' ELSE ''UPDATE'' END';
BEGIN
    IF format = 'supa_audit' THEN
        RETURN 'SELECT s.id::text, s.id, s.ts, '
            || format(operation, 's.op::text', 's.old_record', 's.record') || ',
                s.table_schema::text, s.table_name::text, s.table_oid,
                coalesce(s.record_id::text, s.old_record_id::text), NULL::jsonb, s.old_record, s.record,
                NULL::text[], s.auth_uid::text, s.auth_role, NULL::text, NULL::text, NULL::inet, NULL::text,
                NULL::jsonb FROM ' || main || ' s';
    ELSIF format = 'audit_trigger' THEN
        -- Its client_query is left behind: it may hold values of columns that are hidden.
        RETURN 'SELECT s.event_id::text, s.event_id::bigint,
                coalesce(s.action_tstamp_clk, s.action_tstamp_stm, s.action_tstamp_tx), o.operation,
                s.schema_name::text, s.table_name::text, s.relid, NULL::text, NULL::jsonb,
                CASE WHEN o.operation IN (''UPDATE'', ''DELETE'') THEN s.row_data::jsonb END,
                CASE o.operation WHEN ''INSERT'' THEN s.row_data::jsonb
                    WHEN ''UPDATE'' THEN s.row_data::jsonb || coalesce(s.changed_fields::jsonb, ''{}'') END,
                CASE WHEN o.operation = ''UPDATE''
                     THEN ARRAY(SELECT jsonb_object_keys(s.changed_fields::jsonb)) END,
                NULL::text, NULL::text, s.session_user_name::text, NULL::text, s.client_addr,
                s.application_name,
                jsonb_strip_nulls(jsonb_build_object(''original_transaction_id'', s.transaction_id))
                FROM ' || main || ' s CROSS JOIN LATERAL (
                    SELECT CASE upper(left(s.action::text, 1))
                           WHEN ''I'' THEN ''INSERT'' WHEN ''U'' THEN ''UPDATE''
                           WHEN ''D'' THEN ''DELETE'' WHEN ''T'' THEN ''TRUNCATE'' END) o(operation)';
    ELSIF format = 'colony' THEN
        RETURN 'SELECT s.id::text, NULL::bigint, s.logged_at, '
            || format(operation, 's.operation::text', 's.old_record', 's.new_record') || ',
                s.table_schema::text, s.table_name::text, s.table_oid,
                coalesce(s.record_id::text, s.record_pk::text), NULL::jsonb, s.old_record, s.new_record,
                s.changed_fields, s.actor_id::text, s.actor_role, NULL::text, s.community_id::text,
                s.actor_ip, NULL::text, jsonb_strip_nulls(jsonb_build_object(
                    ''user_agent'', s.actor_user_agent, ''original_transaction_id'', s.transaction_id))
                FROM ' || main || ' s';
    END IF;

    -- pgmemento: the tables beside the source say when, what and who. An UPDATE holds only what changed, so
    -- its key comes from another entry of the same record.
    FOREACH beside IN ARRAY ARRAY['table_event_log', 'transaction_log'] LOOP
        others := others || (
            SELECT audit._import_relation(b.oid, format, beside)
            FROM pg_class s JOIN pg_class b ON b.relnamespace = s.relnamespace AND b.relname = beside
            WHERE s.oid = source);
        IF others[cardinality(others)] IS NULL THEN
            RAISE EXCEPTION 'there is no table "%" in the schema of %', beside, source
                USING ERRCODE = 'undefined_table',
                      HINT = 'pgmemento: copy row_log, table_event_log and transaction_log into one schema.';
        END IF;
    END LOOP;
    EXECUTE format('SELECT array_agg(DISTINCT c.oid) FROM %s e
                    JOIN pg_namespace n ON n.nspname = e.schema_name::text
                    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = e.table_name::text', others[1])
    INTO tables;
    RETURN format(
        'SELECT l.id::text, l.id, e.stmt_time, o.operation, e.schema_name::text, e.table_name::text,
         NULL::oid, l.audit_id::text, k.image, CASE WHEN e.op_id <> 3 THEN l.old_data END,
         CASE WHEN e.op_id IN (3, 4) THEN l.new_data END,
         CASE WHEN e.op_id = 4 THEN ARRAY(SELECT jsonb_object_keys(coalesce(l.new_data, l.old_data))) END,
         NULL::text, NULL::text, t.user_name::text, NULL::text, NULL::inet, t.application_name,
         jsonb_strip_nulls(jsonb_build_object(''client_name'', t.client_name, ''app'', t.session_info,
                                              ''original_transaction_id'', t.txid))
         FROM %1$s l
         LEFT JOIN %2$s e ON e.event_key = l.event_key
         LEFT JOIN %3$s t ON t.id = e.transaction_id
         CROSS JOIN LATERAL (SELECT CASE e.op_id WHEN 3 THEN ''INSERT'' WHEN 4 THEN ''UPDATE''
                                    WHEN 7 THEN ''DELETE'' WHEN 8 THEN ''TRUNCATE'' END) o(operation)
         LEFT JOIN (SELECT DISTINCT ON (r.audit_id) r.audit_id, r.image
                    FROM (SELECT 2, d.audit_id, coalesce(d.new_data, d.old_data)
                          FROM %1$s d JOIN %2$s x ON x.event_key = d.event_key
                          WHERE x.op_id IN (3, 7, 8) AND coalesce(d.new_data, d.old_data) IS NOT NULL
                          %4$s) r(place, audit_id, image)
                    ORDER BY r.audit_id, r.place) k ON k.audit_id = l.audit_id',
        main, others[1], others[2], audit._pgmemento_keys(tables));
END
$body$;
COMMENT ON FUNCTION audit._import_query(regclass, text) IS
    'internal: the query that reads the entries of another tool';

CREATE FUNCTION audit.import_history(source regclass, format text, since timestamptz DEFAULT NULL)
RETURNS TABLE (rows_read bigint, rows_imported bigint, rows_skipped bigint, note text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
DECLARE
    retry constant text := 'SELECT * FROM audit.import_history(''schema_name.table_name'', ''supa_audit'');';
    batch_rows constant integer := 5000;
    batch_bytes constant bigint := 8 * 1024 * 1024;
    columns constant text := (
        SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = 'audit._import_row'::regclass AND a.attnum > 0);
    moment constant timestamptz := clock_timestamp();
    entries text;
    totals record;
    rows_gone bigint := 0;
    rows_untracked bigint := 0;
    entry audit._import_row;
    batch audit._import_row[] := '{}';
    batch_count integer := 0;
    batch_size bigint := 0;
BEGIN
    IF source IS NULL OR format IS NULL THEN
        RAISE EXCEPTION 'source and format must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = source) THEN
        RAISE EXCEPTION 'relation with OID % does not exist', source::oid
            USING ERRCODE = 'undefined_table', HINT = retry;
    ELSIF NOT EXISTS (SELECT FROM audit._import_layout(format)) THEN
        RAISE EXCEPTION 'format must be supa_audit, audit_trigger, pgmemento or colony'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT * FROM audit.import_history(%L, format => ''supa_audit'');',
                                source::text);
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'import_history needs a READ COMMITTED transaction, to see what was imported before'
            USING ERRCODE = 'invalid_transaction_state', HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
    END IF;
    -- One import at a time: two would take over the same entries.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit.import_history', 0));
    IF format = 'colony' AND audit._import_part(source) <> '' THEN
        RETURN QUERY SELECT i.* FROM audit._import_security(source, audit._import_part(source), since) i;
        RETURN;
    END IF;
    entries := format(
        'SELECT i.*, k.original_id IS NOT NULL AS is_known,
                coalesce(isfinite(i.logged_at) AND i.logged_at <= $3, false) AND i.operation IS NOT NULL
                AND i.table_schema IS NOT NULL AND i.table_name IS NOT NULL AS is_usable
         FROM (%s) i(%s)
         LEFT JOIN audit._import_known($1) k ON k.original_id = i.original_id AND k.logged_at = i.logged_at
                                                AND k.operation = i.operation
         WHERE $2 IS NULL OR i.logged_at >= $2', audit._import_query(source, format), columns);

    EXECUTE format(
        'SELECT coalesce(sum(t.read), 0)::bigint AS read, coalesce(sum(t.known), 0)::bigint AS known,
                coalesce(sum(t.rows), 0)::bigint AS rows,
                jsonb_agg(jsonb_build_object(''schema'', t.table_schema, ''name'', t.table_name,
                    ''rows'', t.rows, ''first'', t.first, ''last'', t.last))
                    FILTER (WHERE t.rows > 0) AS tables
         FROM (SELECT e.table_schema, e.table_name, count(*) AS read,
                      count(*) FILTER (WHERE e.is_usable AND e.is_known) AS known,
                      count(*) FILTER (WHERE e.is_usable AND NOT e.is_known) AS rows,
                      min(e.logged_at) FILTER (WHERE e.is_usable AND NOT e.is_known) AS first,
                      max(e.logged_at) FILTER (WHERE e.is_usable AND NOT e.is_known) AS last
               FROM (%s) e GROUP BY 1, 2) t', entries)
    INTO totals USING format, since, moment;
    rows_imported := 0;
    IF totals.rows > 0 THEN
        SELECT b.rows_gone, b.rows_untracked INTO rows_gone, rows_untracked
        FROM audit._import_begin(format, source, totals.tables) b;
        FOR entry IN EXECUTE format(
            'SELECT %s FROM (%s) e WHERE e.is_usable AND NOT e.is_known
             ORDER BY e.logged_at, e.place, e.original_id', columns, entries)
            USING format, since, moment
        LOOP
            batch := batch || entry;
            batch_count := batch_count + 1;
            -- What is stored compressed counts with its full size.
            batch_size := batch_size + coalesce(pg_column_size(entry.old_record || '{}'), 0)
                          + coalesce(pg_column_size(entry.new_record || '{}'), 0);
            IF batch_count = batch_rows OR batch_size > batch_bytes THEN
                PERFORM audit._import_rows(format, batch);
                rows_imported := rows_imported + batch_count;
                batch := '{}';
                batch_count := 0;
                batch_size := 0;
            END IF;
        END LOOP;
        IF batch_count > 0 THEN
            PERFORM audit._import_rows(format, batch);
            rows_imported := rows_imported + batch_count;
        END IF;
        IF rows_imported <> totals.rows THEN
            RAISE EXCEPTION '% changed while it was imported', source
                USING ERRCODE = 'serialization_failure',
                      HINT = format('BEGIN; LOCK TABLE %s IN SHARE MODE; then repeat.', source);
        END IF;
    END IF;
    rows_read := totals.read;
    rows_skipped := rows_read - rows_imported;
    note := nullif(concat_ws('; ',
        nullif(rows_gone, 0) || ' rows of tables that no longer exist keep their recorded name',
        nullif(rows_untracked, 0) || ' rows are of tables that are not tracked: nothing in them is hidden',
        nullif(totals.known, 0) || ' rows were imported before',
        nullif(rows_skipped - totals.known, 0) || ' rows have no usable time, table or operation'), '');
    RETURN NEXT;
END
$body$;
COMMENT ON FUNCTION audit.import_history(regclass, text, timestamptz) IS
    'takes over what another tool recorded (supa_audit, audit_trigger, pgmemento, colony), under its own '
    'times; what is hidden now stays out, and what was imported before is skipped. Of colony, security_events '
    'and user_sessions are recognised by their columns';
