-- Purpose: prints the statements that undo a transaction.
-- Who may call: audit_reader. Whoever runs the statements needs the rights of the tables' owner.
-- Relies on: 62_as_of.sql, 63_table_as_of.sql.

-- Null when the table is gone, even if another one has its name by now.
CREATE FUNCTION audit._table_now(schema_then text, name_then text, logged_at timestamptz) RETURNS regclass
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    table_schema text := schema_then;
    table_name text := name_then;
    named_at timestamptz := logged_at;
    renamed record;
    found_table regclass;
BEGIN
    LOOP
        SELECT e.logged_at, e.detail INTO renamed
        FROM audit.guard_events e
        WHERE e.kind = 'table_renamed' AND e.detail ->> 'from_schema' = table_schema
          AND e.detail ->> 'from_name' = table_name AND e.logged_at > named_at
        ORDER BY e.logged_at, e.id
        LIMIT 1;
        EXIT WHEN NOT FOUND;
        table_schema := renamed.detail ->> 'to_schema';
        table_name := renamed.detail ->> 'to_name';
        named_at := renamed.logged_at;
    END LOOP;
    SELECT c.oid INTO found_table
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = table_name AND n.nspname = table_schema AND c.relkind IN ('r', 'p');
    IF FOUND AND (_table_now.logged_at < lower((audit._tracked_spans(found_table)).covered)
                  OR EXISTS (SELECT FROM audit.guard_events e
                             WHERE e.object = format('%I.%I', table_schema, table_name)
                               AND e.kind = 'tracking_suspended' AND e.detail ->> 'dropped' = 'table'
                               AND e.logged_at > named_at)) THEN
        found_table := NULL;
    END IF;
    RETURN found_table;
END
$body$;
COMMENT ON FUNCTION audit._table_now(text, text, timestamptz) IS
    'internal: the table that had a name at a point in time, under its name of today';

CREATE FUNCTION audit._check_undo(target regclass, transaction_id bigint, ids bigint[]) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    look constant text := format('SELECT * FROM audit.transaction_changes(%s);', transaction_id);
    first_at timestamptz;
    last_at timestamptz;
    truncation audit.audit_log;
    columns text;
    again bigint;
BEGIN
    IF audit._key_columns(target) = '{}' THEN
        RAISE EXCEPTION '% has no key: its records cannot be told apart', target
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = look;
    END IF;
    SELECT min(l.logged_at), max(l.logged_at) INTO first_at, last_at
    FROM audit.audit_log l WHERE l.transaction_id = _check_undo.transaction_id AND l.id = ANY (ids);

    FOR truncation IN
        SELECT l.* FROM audit.audit_log l
        WHERE l.transaction_id = _check_undo.transaction_id AND l.id = ANY (ids)
          AND l.operation = 'TRUNCATE' AND l.record_id IS NULL AND l.old_record IS NULL
    LOOP
        IF NOT audit._truncated_rows_logged(target, truncation) THEN
            RAISE EXCEPTION 'TRUNCATE of % at % did not record the rows that it removed', target,
                            truncation.logged_at
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('SELECT * FROM audit.table_as_of(NULL::%s, %L);', target,
                                    first_at - interval '1 microsecond');
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM audit.audit_log l
               WHERE l.transaction_id = _check_undo.transaction_id AND l.id = ANY (ids)
                 AND CASE l.operation WHEN 'INSERT' THEN l.record_id IS NULL
                                      WHEN 'TRUNCATE' THEN l.old_record IS NULL AND l.record_id IS NOT NULL
                                      ELSE l.record_id IS NULL OR l.old_record IS NULL END) THEN
        RAISE EXCEPTION 'keys or values of % were not recorded or are no longer there', target
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = look;
    END IF;

    -- A removed row is needed whole; of a changed row, fields that are known to have changed.
    WITH hidden AS (
        SELECT h.column_name FROM audit._hidden_columns(target, first_at) h
        JOIN pg_attribute a ON a.attrelid = target AND a.attname = h.column_name AND a.attgenerated = ''
    ), masked AS (
        SELECT h.column_name FROM hidden h
        CROSS JOIN (VALUES (audit._options_at(target, first_at)),
                           (audit._options_at(target, last_at))) o(state)
        WHERE o.state -> 'mask' ? h.column_name OR (o.state ->> 'degraded')::boolean
    )
    SELECT string_agg(DISTINCT h.column_name, ', ' ORDER BY h.column_name) INTO columns
    FROM hidden h
    JOIN audit.audit_log l ON l.transaction_id = _check_undo.transaction_id AND l.id = ANY (ids)
    WHERE CASE l.operation
              WHEN 'INSERT' THEN false
              WHEN 'UPDATE' THEN l.changed_fields @> ARRAY[h.column_name]
                                 AND EXISTS (SELECT FROM masked m WHERE m.column_name = h.column_name)
              ELSE l.old_record IS NOT NULL
                   AND (NOT l.old_record ? h.column_name
                        OR (l.old_record -> h.column_name = 'null'
                            AND EXISTS (SELECT FROM masked m WHERE m.column_name = h.column_name)))
          END;
    IF columns IS NOT NULL THEN
        RAISE EXCEPTION 'values of % were not recorded: %', target, columns
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = look;
    END IF;
    SELECT string_agg(h.column_name, ', ' ORDER BY h.column_name) INTO columns
    FROM audit._hidden_columns(target, first_at) h
    WHERE NOT h.is_masked AND EXISTS (
        SELECT FROM audit.audit_log l
        WHERE l.transaction_id = _check_undo.transaction_id AND l.id = ANY (ids) AND l.operation = 'UPDATE');
    IF columns IS NOT NULL THEN
        RAISE NOTICE 'whether UPDATE changed these columns of % was not recorded: %', target, columns;
    END IF;

    EXECUTE format(
        'SELECT count(DISTINCT mine.record_id)
         FROM audit.audit_log mine
         WHERE mine.transaction_id = $1 AND mine.id = ANY ($2)
           AND (EXISTS (SELECT FROM audit.audit_log l
                        WHERE l.record_id = mine.record_id AND l.transaction_id <> $1
                          AND l.logged_at > mine.logged_at AND %1$s)
                OR EXISTS (SELECT FROM audit.audit_log l
                           WHERE l.old_record_id = mine.record_id AND l.transaction_id <> $1
                             AND l.logged_at > mine.logged_at AND %1$s))',
        audit._log_condition(target, first_at, 'infinity'))
    INTO again USING transaction_id, ids;
    IF again > 0 THEN
        RAISE NOTICE '% of the records of % were changed again since', again, target
            USING HINT = 'What came later is lost when these statements run. Per record: '
                         'SELECT * FROM audit.record_history(...);';
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_undo(regclass, bigint, bigint[]) IS
    'internal: refuses to undo what was not recorded, and says what the caller should know';

-- Literals have the text that each type prints and reads again; the server casts them to the column's type.
CREATE FUNCTION audit._undo_query(target regclass, ids bigint[]) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    key_columns constant text[] := audit._key_columns(target);
    table_text constant text := (
        SELECT CASE WHEN c.relkind = 'r' AND c.relhassubclass THEN 'ONLY ' ELSE '' END || target::text
        FROM pg_class c WHERE c.oid = target);
    overriding constant text := CASE WHEN EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = target AND a.attidentity = 'a' AND NOT a.attisdropped)
        THEN ' OVERRIDING SYSTEM VALUE' ELSE '' END;
    names text;
    literals text;
    key_names text;
    key_literals text;
BEGIN
    -- In a jsonb column that refuses null, the null of an image can only be the null of JSON.
    SELECT string_agg(quote_literal(a.attname), ', ' ORDER BY a.attnum),
           string_agg(format(CASE WHEN a.attnotnull AND a.atttypid IN ('json'::regtype, 'jsonb'::regtype)
                                  THEN 'quote_literal(coalesce(was.%1$I::text, ''null''))'
                                  ELSE 'format(''%%L'', was.%1$I)' END, a.attname), ', ' ORDER BY a.attnum),
           string_agg(quote_literal(a.attname), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attname = ANY (key_columns)),
           string_agg(format('format(''%%L'', now_is.%I)', a.attname), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attname = ANY (key_columns))
    INTO names, literals, key_names, key_literals
    FROM pg_attribute a
    WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    RETURN format(
        'SELECT l.logged_at, l.id, CASE l.operation
             WHEN ''INSERT'' THEN format(''DELETE FROM %%s WHERE %%s;'', %2$L, key.condition)
             WHEN ''UPDATE'' THEN format(''UPDATE %%s SET %%s WHERE %%s;'', %2$L, field.assignments,
                                         key.condition)
             ELSE format(''INSERT INTO %%s (%%s)%%s VALUES (%%s);'', %1$L, field.names, %3$L,
                         field.literals) END
         FROM audit.audit_log l
         CROSS JOIN LATERAL jsonb_populate_record(
             NULL::%1$s, coalesce(l.new_record, ''{}'') || coalesce(l.old_record, ''{}'')) was
         CROSS JOIN LATERAL jsonb_to_record(
             CASE WHEN l.new_record ?& %4$L THEN l.new_record
                  WHEN l.operation IN (''INSERT'', ''UPDATE'') THEN audit._key_image(%1$L, l.record_id)
                  ELSE l.old_record END) now_is(%5$s)
         CROSS JOIN LATERAL (
             SELECT string_agg(format(''%%I = %%s'', k.name, k.literal), '' AND '') AS condition
             FROM unnest(ARRAY[%6$s], ARRAY[%7$s]) k(name, literal)) key
         CROSS JOIN LATERAL (
             SELECT string_agg(format(''%%I = %%s'', c.name, c.literal), '', '' ORDER BY c.place)
                        FILTER (WHERE l.changed_fields @> ARRAY[c.name]) AS assignments,
                    string_agg(quote_ident(c.name), '', '' ORDER BY c.place) AS names,
                    string_agg(c.literal, '', '' ORDER BY c.place) AS literals
             FROM unnest(ARRAY[%8$s], ARRAY[%9$s]) WITH ORDINALITY c(name, literal, place)
             WHERE l.old_record ? c.name) field
         WHERE l.transaction_id = $1 AND l.id = ANY (%10$L) AND l.record_id IS NOT NULL
           AND (l.operation <> ''UPDATE'' OR field.assignments IS NOT NULL)',
        target, table_text, overriding, key_columns, audit._key_definition(target), key_names, key_literals,
        names, literals, ids);
END
$body$;
COMMENT ON FUNCTION audit._undo_query(regclass, bigint[]) IS
    'internal: the query that turns changes of a table into statements that undo them';

-- Triggers of the tables' owner did their work in the transaction and would do it again; what they changed
-- in tracked tables is in the log. Cascades are logged after the row that set them off, so foreign keys among
-- the tables are checked when every row is back, as are other constraints that can wait.
CREATE FUNCTION audit._undo_frame(targets regclass[], transaction_id bigint)
RETURNS TABLE (place integer, before_rows text, after_rows text)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 0, 'SET CONSTRAINTS ALL DEFERRED;', 'SET CONSTRAINTS ALL IMMEDIATE;'
    WHERE EXISTS (SELECT FROM pg_constraint c
                  WHERE c.conrelid = ANY (targets)
                    AND (c.condeferrable OR (c.contype = 'f' AND c.confrelid = ANY (targets))))
    UNION ALL
    SELECT 1, format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE INITIALLY DEFERRED;',
                     c.conrelid::regclass, c.conname),
           format('ALTER TABLE %s ALTER CONSTRAINT %I NOT DEFERRABLE;', c.conrelid::regclass, c.conname)
    FROM pg_constraint c
    WHERE c.conrelid = ANY (targets) AND c.confrelid = ANY (targets) AND c.contype = 'f'
      AND c.conparentid = 0 AND NOT c.condeferrable
    UNION ALL
    SELECT 2, format('ALTER TABLE %s ALTER COLUMN %I SET GENERATED BY DEFAULT;', a.attrelid::regclass,
                     a.attname),
           format('ALTER TABLE %s ALTER COLUMN %I SET GENERATED ALWAYS;', a.attrelid::regclass, a.attname)
    FROM pg_attribute a
    WHERE a.attrelid = ANY (targets) AND a.attidentity = 'a' AND NOT a.attisdropped
      AND EXISTS (SELECT FROM audit.audit_log l
                  WHERE l.transaction_id = _undo_frame.transaction_id
                    AND l.changed_fields @> ARRAY[a.attname::text])
    UNION ALL
    SELECT 3, format('ALTER TABLE %s DISABLE TRIGGER %I;', t.tgrelid::regclass, t.tgname),
           format('ALTER TABLE %s ENABLE %sTRIGGER %I;', t.tgrelid::regclass,
                  CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, t.tgname)
    FROM (SELECT unnest(targets)
          UNION
          SELECT p.relid FROM unnest(targets) r(root) CROSS JOIN LATERAL pg_partition_tree(r.root) p
         ) r(relation)
    JOIN pg_trigger t ON t.tgrelid = r.relation
    JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgconstraint = 0 AND t.tgenabled IN ('O', 'A')
      AND t.tgtype & 28 <> 0 AND p.pronamespace <> 'audit'::regnamespace
$body$;
COMMENT ON FUNCTION audit._undo_frame(regclass[], bigint) IS
    'internal: what stands before and after the statements that undo changes of tables';

CREATE FUNCTION audit.undo_sql(transaction_id bigint) RETURNS TABLE (step integer, statement text)
LANGUAGE plpgsql STABLE SECURITY INVOKER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
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
    touched record;
    target regclass;
    queries text[] := '{}';
    targets regclass[] := '{}';
BEGIN
    IF transaction_id IS NULL THEN
        RAISE EXCEPTION 'transaction_id must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT transaction_id, table_name, record_id FROM audit.changes '
                         'ORDER BY id DESC LIMIT 10;';
    END IF;
    FOR touched IN
        SELECT l.table_schema, l.table_name, array_agg(l.id) AS ids, min(l.logged_at) AS first_at
        FROM audit.audit_log l
        WHERE l.transaction_id = undo_sql.transaction_id
          AND NOT coalesce(l.context ? 'imported_from', false)
        GROUP BY l.table_schema, l.table_name
        ORDER BY min(l.id)
    LOOP
        target := audit._table_now(touched.table_schema, touched.table_name, touched.first_at);
        IF target IS NULL THEN
            RAISE EXCEPTION '%.% is gone: its rows cannot be brought back',
                            quote_ident(touched.table_schema), quote_ident(touched.table_name)
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('SELECT * FROM audit.transaction_changes(%s);', transaction_id);
        END IF;
        PERFORM audit._check_undo(target, transaction_id, touched.ids);
        queries := queries || audit._undo_query(target, touched.ids);
        targets := targets || target;
    END LOOP;
    IF queries = '{}' THEN
        RAISE EXCEPTION 'no change of transaction % is recorded', transaction_id
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT transaction_id, table_name, record_id FROM audit.changes '
                         'ORDER BY id DESC LIMIT 10;';
    END IF;
    RETURN QUERY EXECUTE
        'SELECT (row_number() OVER (ORDER BY u.part, u.place, u.statement))::integer, u.statement
         FROM (SELECT 1 AS part, f.place, f.before_rows AS statement FROM audit._undo_frame($2, $1) f
               UNION ALL
               SELECT 2, row_number() OVER (ORDER BY r.logged_at DESC, r.id DESC), r.statement
               FROM (' || array_to_string(queries, ' UNION ALL ') || ') r(logged_at, id, statement)
               UNION ALL
               SELECT 3, f.place, f.after_rows FROM audit._undo_frame($2, $1) f) u
         ORDER BY 1'
        USING transaction_id, targets;
END
$body$;
COMMENT ON FUNCTION audit.undo_sql(bigint) IS
    'statements that bring back the rows as they were before a transaction; to be run in this order, in one '
    'transaction, by the owner of the tables: SELECT statement FROM audit.undo_sql(...) ORDER BY step \gexec';
