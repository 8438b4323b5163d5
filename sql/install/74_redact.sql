-- Purpose: erases values of sealed rows on request, so that what stays can still be proven.
-- Who may call: audit_officer; functions with an underscore are internal.
-- Relies on: 32_holds.sql, 68_ledger_streams.sql, 69_ledger_native.sql.

CREATE FUNCTION audit._check_redaction(fields text[], legal_basis text, ticket text, retry text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF fields IS NULL OR legal_basis IS NULL OR ticket IS NULL THEN
        RAISE EXCEPTION 'fields, legal_basis and ticket must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF array_ndims(fields) IS DISTINCT FROM 1 OR array_position(fields, NULL) IS NOT NULL
          OR array_position(fields, '') IS NOT NULL OR cardinality(fields) > 1000 THEN
        RAISE EXCEPTION 'fields must be a list of 1 to 1000 names'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF legal_basis !~ '\S' OR ticket !~ '\S' THEN
        RAISE EXCEPTION 'legal_basis and ticket must not be blank'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- What is held must be known as it is now, not as it was when the transaction began.
        RAISE EXCEPTION 'nothing is redacted in a % transaction', current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction',
                  HINT = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ' || retry;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_redaction(text[], text, text, text) IS
    'internal: refuses a redaction whose arguments are missing or wrong';

-- There a name means a key, too: values of the tables of users, and whatever an application reports.
CREATE FUNCTION audit._documents(stream text) RETURNS text[]
LANGUAGE sql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE stream WHEN 'audit_log' THEN '{old_record,new_record}'::text[]
                       WHEN 'security_events' THEN '{metadata}'
                       ELSE '{}' END
$body$;
COMMENT ON FUNCTION audit._documents(text) IS
    'internal: the columns of a stream whose keys are erased one by one, by name';

CREATE FUNCTION audit._has_value(own audit.ledger_streams, fields text[]) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(string_agg(c.condition, ' OR '), 'false')
    FROM (SELECT CASE WHEN a.atttypid = 'jsonb'::regtype
                      THEN format('CASE jsonb_typeof(r.%1$I) WHEN ''object'' THEN EXISTS '
                                  '(SELECT FROM jsonb_each(r.%1$I) m WHERE m.value <> ''null'') '
                                  'ELSE r.%1$I IS NOT NULL END', a.attname)
                      ELSE format('r.%I IS NOT NULL', a.attname) END
          FROM pg_attribute a
          WHERE a.attrelid = format('%I.%I', own.table_schema, own.table_name)::regclass
            AND a.attname = ANY (own.erasable) AND a.attname = ANY (fields)
          UNION ALL
          SELECT format('r.%I ->> %L IS NOT NULL', d.name, f.name)
          FROM unnest(fields) f(name), unnest(audit._documents(own.stream)) d(name)) c(condition)
$body$;
COMMENT ON FUNCTION audit._has_value(audit.ledger_streams, text[]) IS
    'internal: the condition under which a row r has a value that was not erased in one of some fields; false '
    'when the stream has no such field';

-- As holds find a person, and in audit_log also as the recorded rows name one. Null: the stream names nobody.
CREATE FUNCTION audit._is_about(own audit.ledger_streams, subject text) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT string_agg(audit._held_by_value(t.id, t.id, p.name, subject), ' OR ')
           || CASE WHEN own.stream = 'audit_log'
                   THEN format(' OR lower(%1$L) IN (lower(r.new_record ->> ''subject''), '
                               'lower(r.new_record ->> ''user_id''), lower(r.old_record ->> ''subject''), '
                               'lower(r.old_record ->> ''user_id''))', subject)
                   ELSE '' END
    FROM (SELECT format('%I.%I', own.table_schema, own.table_name)::regclass) t(id)
    CROSS JOIN (VALUES ('subject'), ('actor_id'), (NULL)) p(name)
    WHERE CASE WHEN own.stream = 'audit_log' THEN p.name IS NULL ELSE p.name = ANY (own.erasable) END
$body$;
COMMENT ON FUNCTION audit._is_about(audit.ledger_streams, text) IS
    'internal: the condition under which a row r of a stream belongs to a person';

CREATE FUNCTION audit._held_by(own audit.ledger_streams) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('array_remove(ARRAY[%s]::bigint[], NULL)',
                  string_agg(format('CASE WHEN %s THEN %s END', h.condition, h.hold_id), ', ' ORDER BY h.hold_id))
    FROM audit._hold_conditions(format('%I.%I', own.table_schema, own.table_name)::regclass) h
$body$;
COMMENT ON FUNCTION audit._held_by(audit.ledger_streams) IS
    'internal: an expression for the holds that keep a row r of a stream';

CREATE FUNCTION audit._redact_row(
    own audit.ledger_streams, number bigint, transaction_id bigint, fields text[], legal_basis text, ticket text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    erased constant jsonb := audit._erase_row(own.stream, number, fields, transaction_id);
BEGIN
    IF erased = '[]' THEN
        RETURN NULL;
    END IF;
    RETURN audit._record_event(
        'redacted', format('%I.%I', own.table_schema, own.table_name), legal_basis,
        jsonb_build_object('stream_no', own.stream_no, 'id', number, 'fields', fields, 'erased', erased,
                           'legal_basis', legal_basis, 'ticket', ticket,
                           'leaf', (SELECT l.leaf_index FROM audit._locate(own.stream, number) l)));
END
$body$;
COMMENT ON FUNCTION audit._redact_row(audit.ledger_streams, bigint, bigint, text[], text, text) IS
    'internal: erases fields of one row, after it was found that this may be done, and returns the event; null '
    'when nothing was left';

-- No hold is placed, and nobody else erases, between here and the end of the transaction.
CREATE FUNCTION audit._lock_redactions() RETURNS void
LANGUAGE sql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    LOCK TABLE audit.holds IN SHARE UPDATE EXCLUSIVE MODE
$body$;
COMMENT ON FUNCTION audit._lock_redactions() IS 'internal: one redaction at a time, and no new holds meanwhile';

-- The id as people have it is not always what the ledger numbers rows by.
CREATE FUNCTION audit._row_number(own audit.ledger_streams, id text, retry text) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    table_name constant regclass := format('%I.%I', own.table_schema, own.table_name);
    has_uuid constant boolean := EXISTS (
        SELECT FROM pg_attribute a
        WHERE a.attrelid = table_name AND a.attname = 'id' AND a.atttypid = 'uuid'::regtype);
    number bigint;
BEGIN
    IF has_uuid AND audit._as_uuid(id) IS NOT NULL THEN
        EXECUTE format('SELECT r.%I FROM %s r WHERE r.id = $1', own.number_column, table_name)
            INTO number USING audit._as_uuid(id);
    ELSIF id ~ '^[0-9]{1,18}$' THEN
        EXECUTE format('SELECT r.%1$I FROM %2$s r WHERE r.%1$I = $1', own.number_column, table_name)
            INTO number USING id::bigint;
    ELSE
        RAISE EXCEPTION 'id of a row of % must be a %', own.stream,
            CASE WHEN has_uuid THEN 'uuid, or its number' ELSE 'number' END
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    IF number IS NULL THEN
        RAISE EXCEPTION '% has no row %', own.stream, id
            USING ERRCODE = 'undefined_object',
                  HINT = format('SELECT max(%I) FROM %s;', own.number_column, table_name);
    END IF;
    RETURN number;
END
$body$;
COMMENT ON FUNCTION audit._row_number(audit.ledger_streams, text, text) IS
    'internal: the number in the ledger of the row of this id; refuses what is no id, and a row that is not there';

CREATE FUNCTION audit.redact(stream text, id text, fields text[], legal_basis text, ticket text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.redact(''audit_log'', ''1'', ''{email}'', ''GDPR 17(1)(b)'', ''DPO-1'');';
    wanted constant text[] := ARRAY(SELECT DISTINCT f.name COLLATE "C" FROM unnest(fields) f(name) ORDER BY 1);
    own audit.ledger_streams;
    number bigint;
    unknown text;
    target record;
BEGIN
    IF stream IS NULL OR id IS NULL THEN
        RAISE EXCEPTION 'stream and id must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    END IF;
    PERFORM audit._check_redaction(fields, legal_basis, ticket, retry);
    PERFORM audit._check_stream(stream);
    SELECT s.* INTO own FROM audit.ledger_streams s WHERE s.stream = redact.stream;
    number := audit._row_number(own, id, retry);
    PERFORM audit._lock_redactions();
    EXECUTE format('SELECT %s AS held, %s AS has_value, r.transaction_id, to_jsonb(r) AS content '
                   'FROM %I.%I r WHERE r.%I = $1',
                   coalesce(audit._held_by(own), '''{}''::bigint[]'), audit._has_value(own, wanted),
                   own.table_schema, own.table_name, own.number_column)
    INTO target USING number;
    SELECT f.name INTO unknown
    FROM unnest(wanted) f(name)
    WHERE f.name <> ALL (own.erasable)
      AND NOT EXISTS (SELECT FROM unnest(audit._documents(stream)) d(name)
                      WHERE target.content -> d.name ? f.name)
    ORDER BY f.name LIMIT 1;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'row % of % has no field % that can be erased', id, stream, quote_ident(unknown)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT erasable FROM audit.ledger_streams WHERE stream = %L;', stream);
    ELSIF target.held <> '{}' THEN
        RAISE EXCEPTION 'row % of % is held: %', id, stream, array_to_string(target.held, ', ')
            USING ERRCODE = 'restrict_violation',
                  HINT = format('SELECT * FROM audit.active_holds WHERE hold_id IN (%s);',
                                array_to_string(target.held, ', '));
    ELSIF NOT target.has_value THEN
        RAISE NOTICE 'row % of % has no value left in these fields', id, stream;
        RETURN NULL;
    END IF;
    RETURN audit._redact_row(own, number, target.transaction_id, wanted, legal_basis, ticket);
END
$body$;
COMMENT ON FUNCTION audit.redact(text, text, text[], text, text) IS
    'erases fields of one row of a stream, for ever: columns that can be erased, in audit_log also keys of the '
    'recorded rows, in security_events keys of metadata. What stays can still be proven. Returns the event, or null when there was nothing left; '
    'refuses a row that is held';

CREATE FUNCTION audit.redact(stream text, id anyelement, fields text[], legal_basis text, ticket text)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT audit.redact(stream, id::text, fields, legal_basis, ticket)
$body$;
COMMENT ON FUNCTION audit.redact(text, anyelement, text[], text, text) IS
    'the same, for numbers and uuids without a cast';

CREATE FUNCTION audit.redact_subject(
    subject text, fields text[], legal_basis text, ticket text, max_rows integer DEFAULT 1000)
RETURNS TABLE (stream text, rows_redacted bigint, rows_held bigint, more boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text :=
        'SELECT * FROM audit.redact_subject(''1187'', ''{email}'', ''GDPR 17(1)(b)'', ''DPO-1'');';
    wanted constant text[] := ARRAY(SELECT DISTINCT f.name COLLATE "C" FROM unnest(fields) f(name) ORDER BY 1);
    own audit.ledger_streams;
    own_fields text[];
    held text;
    target record;
    budget integer := max_rows;
    all_held bigint := 0;
    holds bigint[] := '{}';
BEGIN
    IF subject IS NULL OR max_rows IS NULL THEN
        RAISE EXCEPTION 'subject and max_rows must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF subject !~ '\S' OR max_rows NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'subject must not be blank, and max_rows must be between 1 and 100000'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    PERFORM audit._check_redaction(fields, legal_basis, ticket, retry);
    PERFORM audit._lock_redactions();
    FOR own IN
        SELECT s.* FROM audit.ledger_streams s
        WHERE (audit._documents(s.stream) <> '{}' OR s.erasable && wanted)
          AND (s.stream = 'audit_log' OR s.erasable && '{actor_id,subject}')
        ORDER BY s.stream_no
    LOOP
        own_fields := CASE WHEN audit._documents(own.stream) <> '{}' THEN wanted
                           ELSE ARRAY(SELECT f.name FROM unnest(wanted) f(name)
                                      WHERE f.name = ANY (own.erasable)) END;
        held := coalesce(audit._held_by(own), '''{}''::bigint[]');
        stream := own.stream;
        rows_redacted := 0;
        rows_held := 0;
        more := false;
        IF held <> '''{}''::bigint[]' THEN
            EXECUTE format('SELECT count(*) AS n, array_agg(DISTINCT h.id) AS holds '
                           'FROM (SELECT %s AS holds FROM %I.%I r WHERE (%s) AND (%s)) t, unnest(t.holds[:1]) h(id)',
                           held, own.table_schema, own.table_name, audit._is_about(own, subject),
                           audit._has_value(own, wanted))
            INTO target;
            rows_held := target.n;
            all_held := all_held + target.n;
            holds := holds || coalesce(target.holds, '{}');
        END IF;
        FOR target IN EXECUTE format(
            'SELECT r.%I AS number, r.transaction_id FROM %I.%I r WHERE (%s) AND (%s) AND %s = ''{}'' LIMIT %s', own.number_column,
            own.table_schema, own.table_name, audit._is_about(own, subject), audit._has_value(own, wanted), held,
            budget + 1)
        LOOP
            more := rows_redacted >= budget;
            EXIT WHEN more;
            PERFORM audit._redact_row(own, target.number, target.transaction_id, own_fields, legal_basis,
                                      ticket);
            rows_redacted := rows_redacted + 1;
        END LOOP;
        budget := budget - rows_redacted;
        RETURN NEXT;
    END LOOP;
    RAISE NOTICE '%backups and WAL keep the old values until they expire',
        CASE WHEN all_held > 0
             THEN format('%s rows are under hold %s and stay; ', all_held,
                         (SELECT string_agg(DISTINCT h.id::text, ', ') FROM unnest(holds) h(id)))
             ELSE '' END
        USING HINT = 'VACUUM removes them from the tables.';
END
$body$;
COMMENT ON FUNCTION audit.redact_subject(text, text[], text, text, integer) IS
    'erases fields wherever a stream is about a person: in audit_log the rows that the person is (record_id), '
    'made (actor_id) or is named in (subject, user_id of the recorded row), in security_events those whose '
    'subject, user_id or email is the person, elsewhere those the person made. '
    'Rows that are held stay, and are counted. Call it again while more is true';
