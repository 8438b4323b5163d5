-- Purpose: keeps tracking right when tables are altered: renames, new tables and partitions, triggers switched.
-- Who may call: nobody; the event trigger at the end runs these functions.
-- Relies on: 50_tracking.sql, 53_schemas.sql.

CREATE FUNCTION audit._renew_arguments(trigger_id oid, clones oid[], old_name text, new_name text)
RETURNS boolean
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'renew_arguments_wrapper';
COMMENT ON FUNCTION audit._renew_arguments(oid, oid[], text, text) IS
    'internal: brings the columns in a trigger''s arguments up to date; true when they have other names now';

CREATE FUNCTION audit._set_always(trigger_id oid) RETURNS void
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'set_always_wrapper';
COMMENT ON FUNCTION audit._set_always(oid) IS 'internal: makes a trigger fire in replica mode, too';

-- All that the statement touched: the tables it names, those made of an altered type, and what inherits.
CREATE FUNCTION audit._affected_tables() RETURNS SETOF oid
LANGUAGE sql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH RECURSIVE named(oid) AS (
        SELECT c.objid FROM pg_event_trigger_ddl_commands() c
        WHERE c.classid = 'pg_class'::regclass AND NOT c.in_extension
    ), affected(oid) AS (
        (SELECT n.oid FROM named n
         UNION
         SELECT t.oid FROM named n
         JOIN pg_class y ON y.oid = n.oid AND y.relkind = 'c'
         JOIN pg_class t ON t.reloftype = y.reltype)
        UNION
        SELECT i.inhrelid FROM affected a JOIN pg_inherits i ON i.inhparent = a.oid
    )
    SELECT c.oid FROM affected a JOIN pg_class c ON c.oid = a.oid
    WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
$body$;
COMMENT ON FUNCTION audit._affected_tables() IS 'internal: the tables that the present DDL statement touched';

-- Options that a table of this name had last, for a table that is made again under the name.
CREATE FUNCTION audit._latest_options(object text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE e.kind WHEN 'tracking_enabled' THEN e.detail WHEN 'tracking_changed' THEN e.detail -> 'now'
                       WHEN 'table_renamed' THEN e.detail -> 'options' END
    FROM audit.guard_events e
    WHERE e.object = _latest_options.object
      AND e.kind IN ('tracking_enabled', 'tracking_changed', 'tracking_disabled', 'table_renamed')
    ORDER BY e.id DESC
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._latest_options(text) IS
    'internal: the options under which a table of this name was last tracked';

CREATE FUNCTION audit._tracked_since(object text) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT max(CASE e.kind WHEN 'tracking_enabled' THEN e.logged_at
                           ELSE (e.detail ->> 'since')::timestamptz END)
    FROM audit.guard_events e
    WHERE e.object = _tracked_since.object AND e.kind IN ('tracking_enabled', 'table_renamed')
$body$;
COMMENT ON FUNCTION audit._tracked_since(text) IS
    'internal: when tracking was last switched on for the table that has this name';

CREATE FUNCTION audit._former_schema(command pg_ddl_command) RETURNS oid
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'former_schema_wrapper';
COMMENT ON FUNCTION audit._former_schema(pg_ddl_command) IS
    'internal: the schema that a table was in before a statement moved it';

-- The log knows tables by name; this is how a history is followed through renames.
CREATE FUNCTION audit._follow_names(tables oid[], old_schema name, old_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    renamed record;
BEGIN
    FOR renamed IN
        SELECT c.relname AS to_name, n.nspname AS to_schema, c.oid::regclass::text AS object,
               coalesce(old_name, c.relname) AS from_name, coalesce(old_schema, n.nspname) AS from_schema,
               (SELECT audit._tracking_state(t.trigger_id) FROM audit._own_triggers(c.oid) t
                WHERE t.is_row ORDER BY t.trigger_id LIMIT 1) AS options
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = ANY (tables) AND audit._tracked_as(c.oid) = c.oid
        ORDER BY c.oid
    LOOP
        -- SET SCHEMA to where the table is already.
        CONTINUE WHEN (renamed.from_schema, renamed.from_name) = (renamed.to_schema, renamed.to_name);
        PERFORM audit._record_event('table_renamed', renamed.object, NULL, jsonb_build_object(
            'from_schema', renamed.from_schema, 'from_name', renamed.from_name,
            'to_schema', renamed.to_schema, 'to_name', renamed.to_name,
            'since', audit._tracked_since(format('%I.%I', renamed.from_schema, renamed.from_name)),
            'options', renamed.options));
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._follow_names(oid[], name, name) IS
    'internal: records that tracked tables have other names now';

CREATE FUNCTION audit._follow_columns(tables oid[], old_name text, new_name text, is_news boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT a.relation::regclass AS relation, t.trigger_id,
               ARRAY(SELECT c.oid FROM pg_partition_tree(a.relation) p JOIN pg_trigger c ON c.tgrelid = p.relid
                     WHERE c.tgfoid = 'audit.log_changes()'::regprocedure AND c.tgparentid <> 0) AS clones
        FROM unnest(tables) a(relation)
        CROSS JOIN LATERAL audit._own_triggers(a.relation) t
        WHERE t.is_row AND NOT t.is_clone
        ORDER BY t.trigger_id
    LOOP
        IF audit._renew_arguments(own.trigger_id, own.clones, old_name, new_name) AND is_news THEN
            PERFORM audit._record_event(
                'tracking_changed', own.relation::text, NULL,
                jsonb_build_object('now', audit._tracking_state(own.trigger_id))
                || CASE WHEN old_name = '' THEN '{}'
                        ELSE jsonb_build_object('column_renamed',
                                                jsonb_build_object('from', old_name, 'to', new_name)) END);
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._follow_columns(oid[], text, text, boolean) IS
    'internal: options go on meaning the same columns after a rename, a drop or a restore';

-- ENABLE TRIGGER without ALWAYS, which also ends every load with "pg_restore --disable-triggers", would leave
-- triggers that do not fire in replica mode.
CREATE FUNCTION audit._follow_switches(tables oid[], enabled boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own record;
    is_off boolean;
    latest text;
BEGIN
    IF enabled THEN
        FOR own IN
            SELECT t.tgrelid::regclass AS relation, array_agg(t.tgname ORDER BY t.tgname) AS names,
                   array_agg(t.oid) AS triggers
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
            WHERE t.tgrelid = ANY (tables) AND t.tgenabled IN ('O', 'R')
              AND p.pronamespace = 'audit'::regnamespace
              AND (p.proname IN ('log_changes', 'enforce_retention')
                   OR (p.proname IN ('prevent_modification', 'prevent_audit_modification')
                       AND (SELECT c.relnamespace = p.pronamespace FROM pg_class c WHERE c.oid = t.tgrelid)))
            GROUP BY t.tgrelid
            ORDER BY t.tgrelid
        LOOP
            PERFORM audit._set_always(a.trigger_id) FROM unnest(own.triggers) a(trigger_id);
            IF audit._tracked_since(audit._tracked_as(own.relation)::text) IS NOT NULL THEN
                PERFORM audit._record_event('tracking_repaired', own.relation::text, NULL,
                                            jsonb_build_object('set_to_always', own.names));
            END IF;
            RAISE NOTICE 'triggers of % fire always again, in replica mode, too: %', own.relation,
                array_to_string(own.names, ', ');
        END LOOP;
    END IF;

    FOR own IN
        SELECT DISTINCT audit._tracked_as(a.relation) AS relation FROM unnest(tables) a(relation)
    LOOP
        CONTINUE WHEN own.relation IS NULL;
        is_off := EXISTS (
            SELECT FROM pg_trigger t
            WHERE t.tgfoid = 'audit.log_changes()'::regprocedure AND t.tgenabled = 'D' AND t.tgtype & 1 = 1
              AND t.tgrelid IN (SELECT own.relation UNION SELECT p.relid FROM pg_partition_tree(own.relation) p));
        SELECT e.kind INTO latest
        FROM audit.guard_events e
        WHERE e.object = own.relation::text
          AND e.kind IN ('tracking_enabled', 'tracking_disabled', 'table_renamed', 'tracking_suspended',
                         'tracking_resumed')
        ORDER BY e.id DESC LIMIT 1;
        IF is_off AND latest IS DISTINCT FROM 'tracking_suspended' THEN
            RAISE NOTICE 'changes of % are not recorded until its triggers are switched on', own.relation
                USING HINT = format('SELECT audit.repair_tracking(%L);', own.relation::text);
        END IF;
        -- Of a table that nothing is known of, as in a restore whose events are still to come, this would not
        -- say anything, and it would take the number of an event to come.
        IF is_off AND latest <> 'tracking_suspended' THEN
            PERFORM audit._record_event('tracking_suspended', own.relation::text, NULL, NULL);
        ELSIF NOT is_off AND latest = 'tracking_suspended' THEN
            PERFORM audit._record_event('tracking_resumed', own.relation::text, NULL, NULL);
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._follow_switches(oid[], boolean) IS
    'internal: sets triggers of ours to ALWAYS, and records when tracking was switched off and on';
