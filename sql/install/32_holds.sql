-- Purpose: holds: rows that stay whatever their age, until somebody releases them.
-- Who may call: audit_officer places and releases; audit_reader and audit_officer see active_holds.
-- Relies on: 22_guard_tables.sql, 24_policies.sql; when they are called, on 45_tracking_rules.sql.

CREATE VIEW audit.active_holds AS
SELECT h.id AS hold_id,
       h.table_schema,
       h.table_name,
       c.oid::regclass AS target,
       h.record_ids,
       h.subject,
       h.tenant_id,
       h.since,
       h.until,
       h.reason,
       h.placed_at,
       h.placed_by
FROM audit.holds h
LEFT JOIN pg_namespace n ON n.nspname = h.table_schema
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
WHERE NOT EXISTS (SELECT FROM audit.hold_releases r WHERE r.hold_id = h.id);
COMMENT ON VIEW audit.active_holds IS 'the holds that are in force';
COMMENT ON COLUMN audit.active_holds.hold_id IS 'number of the hold, for release_hold';
COMMENT ON COLUMN audit.active_holds.table_schema IS 'schema of the table';
COMMENT ON COLUMN audit.active_holds.table_name IS 'name of the table';
COMMENT ON COLUMN audit.active_holds.target IS 'the table; null when there is none of this name';
COMMENT ON COLUMN audit.active_holds.record_ids IS 'keys of the rows that are held; null: not limited to keys';
COMMENT ON COLUMN audit.active_holds.subject IS
    'the person whose rows are held; null: not limited to a person';
COMMENT ON COLUMN audit.active_holds.tenant_id IS
    'the tenant whose rows are held; null: not limited to a tenant';
COMMENT ON COLUMN audit.active_holds.since IS 'rows from this moment on; null: from the beginning';
COMMENT ON COLUMN audit.active_holds.until IS 'rows before this moment; null: without end';
COMMENT ON COLUMN audit.active_holds.reason IS 'why, in the words of the person who placed it';
COMMENT ON COLUMN audit.active_holds.placed_at IS 'when it was placed';
COMMENT ON COLUMN audit.active_holds.placed_by IS 'the role that logged in and placed it';

-- Values are compared as values, both sides written as JSON in the same moment: the text of a value would
-- depend on the settings of whoever deletes.
CREATE FUNCTION audit._held_keys(target regclass, record_ids text[]) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    key constant text[] := audit._key_columns(target);
BEGIN
    RETURN (
        SELECT format('SELECT jsonb_build_array(%s) FROM unnest(%L::text[]) k(id)',
                      string_agg(format('(%s)::%s',
                                        CASE WHEN cardinality(key) = 1 THEN 'k.id'
                                             ELSE format('k.id::jsonb ->> %s', c.place - 1) END,
                                        format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY c.place),
                      record_ids)
        FROM unnest(key) WITH ORDINALITY c(name, place)
        JOIN pg_attribute a ON a.attrelid = target AND a.attname = c.name
        HAVING count(*) > 0);
END
$body$;
COMMENT ON FUNCTION audit._held_keys(regclass, text[]) IS
    'internal: a query that gives the keys as JSON arrays; null when the table has no key';

-- In our own tables everything is text, and a uuid may have been written in capitals.
CREATE FUNCTION audit._held_by_text(columns text[], wanted text[]) RETURNS text
LANGUAGE sql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT string_agg(format('lower(r.%I::text) = ANY (%L::text[])', c.name,
                             (SELECT array_agg(lower(w.value)) FROM unnest(wanted) w(value))), ' OR ')
    FROM unnest(columns) c(name)
$body$;
COMMENT ON FUNCTION audit._held_by_text(text[], text[]) IS
    'internal: the condition under which a row r of ours has one of some texts in one of some columns';

-- A column or key that is gone since then cannot decide any more: a hold may keep too much, never too little.
CREATE FUNCTION audit._held_by_key(target regclass, stream regclass, record_ids text[]) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF record_ids IS NULL THEN
        RETURN NULL;
    ELSIF stream IS NOT NULL THEN
        RETURN audit._held_by_text(
            CASE WHEN stream = to_regclass('audit.audit_log') THEN '{record_id,old_record_id}'::text[]
                 ELSE '{id}' END, record_ids);
    END IF;
    RETURN coalesce(
        format('jsonb_build_array(%s) IN (%s)',
               (SELECT string_agg(format('r.%I', k.name), ', ' ORDER BY k.place)
                FROM unnest(audit._key_columns(target)) WITH ORDINALITY k(name, place)),
               audit._held_keys(target, record_ids)),
        'true');
END
$body$;
COMMENT ON FUNCTION audit._held_by_key(regclass, regclass, text[]) IS
    'internal: the condition under which a row r has one of the held keys';

CREATE FUNCTION audit._held_by_value(target regclass, stream regclass, column_name text, wanted text)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF wanted IS NULL THEN
        RETURN NULL;
    ELSIF stream IS NOT NULL THEN
        -- In the log itself, a person may be the one who acted or the one whose record it is.
        RETURN audit._held_by_text(
            CASE WHEN column_name IS NULL THEN '{record_id,old_record_id,actor_id}'::text[]
                 -- Of somebody who failed to log in, only the address is known.
                 WHEN stream = to_regclass('audit.security_events') AND column_name = 'subject'
                 THEN '{subject,user_id,email}'
                 ELSE ARRAY[column_name] END, ARRAY[wanted]);
    END IF;
    RETURN coalesce(
        (SELECT format('to_jsonb(r.%I) = to_jsonb(%L::%s)', column_name, wanted,
                       format_type(a.atttypid, a.atttypmod))
         FROM pg_attribute a
         WHERE a.attrelid = target AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped),
        'true');
END
$body$;
COMMENT ON FUNCTION audit._held_by_value(regclass, regclass, text, text) IS
    'internal: the condition under which a row r belongs to the held person or tenant';

-- A row whose time is not known is held. A time without a zone may mean any moment from 14 hours before to 12
-- hours after it in UTC, a date also the whole day.
CREATE FUNCTION audit._held_by_time(target regclass, since timestamptz, until timestamptz) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
    SELECT CASE
        WHEN since IS NULL AND until IS NULL THEN NULL
        WHEN p.timestamp_column IS NULL THEN 'true'
        WHEN p.time_type = 'timestamptz'::regtype
        THEN concat_ws(' AND ', format('r.%I >= ', p.timestamp_column) || quote_literal(since) || '::timestamptz',
                       format('r.%I < ', p.timestamp_column) || quote_literal(until) || '::timestamptz')
        ELSE concat_ws(' AND ',
                       format('r.%I + interval %L >= ', p.timestamp_column,
                              CASE WHEN p.time_type = 'date'::regtype THEN '36 hours' ELSE '12 hours' END)
                       || quote_literal(since AT TIME ZONE 'UTC') || '::timestamp',
                       format('r.%I - interval %L < ', p.timestamp_column, '14 hours')
                       || quote_literal(until AT TIME ZONE 'UTC') || '::timestamp')
        END
    FROM (SELECT coalesce(audit._stream_of(target), audit._protected_as(target)) AS root) r
    LEFT JOIN audit._protected() p ON p.target = r.root
    ORDER BY p.trigger_id
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._held_by_time(regclass, timestamptz, timestamptz) IS
    'internal: the condition under which a row r lies in the held span of time';

-- A hold on a table holds for its partitions.
CREATE FUNCTION audit._hold_conditions(target regclass) RETURNS TABLE (hold_id bigint, condition text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT h.id,
           format('(%s)', concat_ws(' AND ', 'true',
               'coalesce(' || audit._held_by_key(c.oid, t.stream, h.record_ids) || ', false)',
               'coalesce(' || audit._held_by_value(c.oid, t.stream, h.subject_column, h.subject) || ', false)',
               'coalesce(' || audit._held_by_value(c.oid, t.stream, h.tenant_column, h.tenant_id) || ', false)',
               'coalesce(' || audit._held_by_time(c.oid, h.since, h.until) || ', true)'))
    FROM (SELECT audit._stream_of(_hold_conditions.target)) t(stream)
    CROSS JOIN LATERAL (SELECT _hold_conditions.target
                        UNION SELECT p.relid FROM pg_partition_ancestors(_hold_conditions.target) p) a(relid)
    JOIN pg_class c ON c.oid = a.relid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN audit.holds h ON h.table_schema = n.nspname AND h.table_name = c.relname
    WHERE NOT EXISTS (SELECT FROM audit.hold_releases r WHERE r.hold_id = h.id)
$body$;
COMMENT ON FUNCTION audit._hold_conditions(regclass) IS
    'internal: for each hold on a table, the condition in SQL under which a row r of it is held';

CREATE FUNCTION audit._hold_condition(target_oid text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(string_agg(h.condition, ' OR ' ORDER BY h.hold_id), '')
    FROM audit._hold_conditions(target_oid::oid::regclass) h
$body$;
COMMENT ON FUNCTION audit._hold_condition(text) IS
    'internal: the condition in SQL under which a row r of a table is held; empty when there is no hold';

CREATE FUNCTION audit._check_reason(reason text, retry text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF reason IS NULL THEN
        RAISE EXCEPTION 'reason must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF reason !~ '\S' THEN
        RAISE EXCEPTION 'reason must not be blank' USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_reason(text, text) IS 'internal: refuses a missing or blank reason';

CREATE FUNCTION audit._check_hold(
    target regclass, record_ids text[], subject text, tenant_id text, since timestamptz, until timestamptz,
    OUT subject_column text, OUT tenant_column text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    stream constant regclass := audit._stream_of(target);
    protected_as constant regclass := coalesce(stream, audit._protected_as(target));
    retry constant text := format('SELECT audit.place_hold(%L, ''why'');', target::text);
    wrong text;
BEGIN
    IF protected_as IS NULL THEN
        RAISE EXCEPTION '% is not protected: its rows may go at any time', target
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.protect(%L);', target::text);
    ELSIF protected_as <> target THEN
        RAISE EXCEPTION '% is a partition of %', target, protected_as
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.place_hold(%L, ''why'');', protected_as::text);
    ELSIF record_ids = '{}' OR array_position(record_ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'record_ids must not be empty and must not contain null'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Without record_ids, all rows are held: ' || retry;
    ELSIF subject !~ '\S' OR tenant_id !~ '\S' THEN
        RAISE EXCEPTION 'subject and tenant_id must not be blank'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Without them, all rows are held: ' || retry;
    ELSIF since >= until THEN
        RAISE EXCEPTION 'since must lie before until'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;

    IF subject IS NOT NULL AND stream IS DISTINCT FROM to_regclass('audit.audit_log') THEN
        SELECT a.attname INTO subject_column
        FROM pg_attribute a
        WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname = ANY (CASE WHEN stream IS NULL THEN '{subject,user_id}'::name[]
                                    ELSE '{actor_id,subject}' END)
        ORDER BY a.attname <> 'subject', a.attname LIMIT 1;
        wrong := CASE WHEN subject_column IS NULL
                      THEN format('%s has no column that names a person: subject, user_id', target)
                      ELSE audit._wrong_value(target, stream, subject_column, subject) END;
    END IF;
    IF tenant_id IS NOT NULL THEN
        SELECT a.attname INTO tenant_column
        FROM pg_attribute a
        WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname = CASE WHEN stream IS NULL THEN audit._default_tenant(target, '{}')
                               ELSE 'tenant_id' END;
        wrong := coalesce(wrong, CASE WHEN tenant_column IS NULL
                                      THEN format('%s has no column that names a tenant', target)
                                      ELSE audit._wrong_value(target, stream, tenant_column, tenant_id) END);
    END IF;
    IF record_ids IS NOT NULL THEN
        wrong := coalesce(wrong, audit._wrong_keys(target, stream, record_ids));
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION '%', wrong
            USING ERRCODE = 'invalid_parameter_value', HINT = 'All its rows: ' || retry;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_hold(regclass, text[], text, text, timestamptz, timestamptz) IS
    'internal: refuses a hold that the table cannot keep; returns the columns that name person and tenant';

-- Values are read with the rights of the table's owner: reading them may run code that belongs to a type.
CREATE FUNCTION audit._wrong_value(target regclass, stream regclass, column_name text, wanted text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF stream IS NULL THEN
        PERFORM audit._read_as_owner(
            target, format('SELECT (%L::%s)::text', wanted,
                           (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
                            WHERE a.attrelid = target AND a.attname = column_name)));
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN data_exception OR check_violation OR not_null_violation THEN
        RETURN format('no row of %s can have this value in %I', target, column_name);
END
$body$;
COMMENT ON FUNCTION audit._wrong_value(regclass, regclass, text, text) IS
    'internal: what is wrong with the person or tenant of a hold; null when nothing is';

CREATE FUNCTION audit._wrong_keys(target regclass, stream regclass, record_ids text[]) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    key constant text[] := audit._key_columns(target);
BEGIN
    IF stream IS NOT NULL THEN
        RETURN CASE WHEN audit._stream_retention(stream) IS NULL
                    THEN format('all rows of %s are kept for ever', target) END;
    ELSIF key = '{}' THEN
        RETURN format('%s has no key', target);
    END IF;
    PERFORM audit._read_as_owner(target, format('SELECT count(k.id)::text FROM (%s) k(id)',
                                                audit._held_keys(target, record_ids)));
    IF cardinality(key) > 1 AND EXISTS (
        SELECT FROM unnest(record_ids) k(id)
        WHERE jsonb_typeof(k.id::jsonb) <> 'array' OR jsonb_array_length(k.id::jsonb) <> cardinality(key)) THEN
        RETURN format('a key of %s is a JSON array of %s', target, array_to_string(key, ', '));
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN data_exception OR check_violation OR not_null_violation THEN
        RETURN format('record_ids are no keys of %s: %s', target, array_to_string(key, ', '));
END
$body$;
COMMENT ON FUNCTION audit._wrong_keys(regclass, regclass, text[]) IS
    'internal: what is wrong with the keys of a hold; null when nothing is';

CREATE FUNCTION audit.place_hold(
    target regclass, reason text, record_ids text[] DEFAULT NULL, subject text DEFAULT NULL,
    tenant_id text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    columns record;
    new_id bigint;
BEGIN
    PERFORM audit._check_exists(target, 'place_hold');
    PERFORM audit._check_reason(reason, format('SELECT audit.place_hold(%L, ''why'');', target::text));
    -- Waits for deletions that are under way, and lets none begin before the hold is known.
    LOCK TABLE audit.holds IN EXCLUSIVE MODE;
    PERFORM audit._check_exists(target, 'place_hold');
    SELECT c.* INTO columns
    FROM audit._check_hold(target, record_ids, subject, tenant_id, since, until) c;
    INSERT INTO audit.holds
        (table_schema, table_name, record_ids, subject, subject_column, tenant_id, tenant_column, since, until,
         reason, placed_by, transaction_id)
    SELECT n.nspname, c.relname, place_hold.record_ids, place_hold.subject, columns.subject_column,
           place_hold.tenant_id, columns.tenant_column, place_hold.since, place_hold.until,
           place_hold.reason, who.login_role, pg_current_xact_id()::text::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = target
    RETURNING id INTO new_id;
    PERFORM audit._record_event(
        'hold_placed', target::text, reason,
        jsonb_strip_nulls(jsonb_build_object(
            'hold_id', new_id, 'record_ids', record_ids, 'subject', subject, 'tenant_id', tenant_id,
            'since', since, 'until', until)));
    RETURN new_id;
END
$body$;
COMMENT ON FUNCTION audit.place_hold(regclass, text, text[], text, text, timestamptz, timestamptz) IS
    'keeps rows of a protected table, or of one of our own, beyond their retention: all of them, or those that '
    'meet every condition that is given; returns the number for release_hold';

CREATE FUNCTION audit.release_hold(hold_id bigint, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    held text;
BEGIN
    IF hold_id IS NULL THEN
        RAISE EXCEPTION 'hold_id must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'SELECT * FROM audit.active_holds;';
    END IF;
    PERFORM audit._check_reason(reason, format('SELECT audit.release_hold(%s, ''why'');', hold_id));
    SELECT format('%I.%I', h.table_schema, h.table_name) INTO held
    FROM audit.holds h WHERE h.id = hold_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no hold %', hold_id
            USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM audit.active_holds;';
    END IF;
    INSERT INTO audit.hold_releases (hold_id, reason, released_by, transaction_id)
    VALUES (release_hold.hold_id, release_hold.reason, who.login_role, pg_current_xact_id()::text::bigint)
    ON CONFLICT ON CONSTRAINT hold_releases_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'hold % was released already', hold_id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT * FROM audit.active_holds;';
    END IF;
    -- What was held may have expired: the table is looked through again from its beginning.
    UPDATE audit.retention_state s
    SET finished_at = NULL, next_partition = NULL, next_block = 0, blocks_done = 0
    WHERE s.relation = held;
    PERFORM audit._record_event('hold_released', held, reason, jsonb_build_object('hold_id', hold_id));
END
$body$;
COMMENT ON FUNCTION audit.release_hold(bigint, text) IS
    'ends a hold: its rows stay as long as their retention and other holds say, and no longer';
