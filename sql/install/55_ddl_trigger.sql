-- Purpose: the event trigger that runs after each statement that alters tables, and what it does.
-- Who may call: nobody; the functions have no grants, and the server runs the event trigger.
-- Relies on: 54_ddl.sql, whose functions follow what has been renamed, dropped or switched.

-- Says with the rights of our owner what has to be done, and does what concerns our own tables or the catalogue.
-- What needs commands on tables of users comes back as a list (a JSON text) for _run_after_ddl.
CREATE FUNCTION audit._plan_after_ddl(what text, old_name text, new_name text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    changes constant text[] := string_to_array(what, ',');
    affected oid[];
    plan jsonb := '[]';
BEGIN
    IF 'schema renamed' = ANY (changes) THEN
        PERFORM audit._follow_names(
            ARRAY(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = new_name::name AND c.relkind IN ('r', 'p')), old_name::name, NULL);
        UPDATE audit.tracked_schemas s SET schema_name = new_name::name
        WHERE s.schema_name = old_name::name
          AND NOT EXISTS (SELECT FROM audit.tracked_schemas t WHERE t.schema_name = new_name::name);
        RETURN '';
    END IF;

    affected := ARRAY(SELECT audit._affected_tables());
    IF 'table renamed' = ANY (changes) THEN
        PERFORM audit._follow_names(ARRAY(SELECT c.objid FROM pg_event_trigger_ddl_commands() c
                                          WHERE c.classid = 'pg_class'::regclass), NULL, old_name::name);
    ELSIF 'table moved' = ANY (changes) THEN
        PERFORM audit._follow_names(ARRAY[c.objid], n.nspname, NULL)
        FROM pg_event_trigger_ddl_commands() c
        JOIN pg_namespace n ON n.oid = audit._former_schema(c.command)
        WHERE c.classid = 'pg_class'::regclass;
    END IF;
    -- After a restore each tracking trigger is switched to ALWAYS, and its arguments are renewed with that.
    IF changes && '{column renamed,column dropped,trigger switched}' THEN
        PERFORM audit._follow_columns(
            affected, CASE WHEN 'column renamed' = ANY (changes) THEN old_name ELSE '' END, new_name,
            changes && '{column renamed,column dropped}');
    END IF;
    IF 'trigger switched' = ANY (changes) THEN
        PERFORM audit._follow_switches(affected, 'trigger enabled' = ANY (changes));
    END IF;
    -- Rows that come or go with a partition leave no row in the log: reading the past must know that.
    IF changes && '{partition attached,partition detached}' THEN
        PERFORM audit._record_event(
            CASE WHEN p.relispartition THEN 'partition_attached' ELSE 'partition_detached' END,
            r.root::text, NULL, jsonb_build_object('partition', p.oid::regclass::text))
        FROM pg_class p
        CROSS JOIN (SELECT DISTINCT audit._tracked_as(c.objid) AS root FROM pg_event_trigger_ddl_commands() c
                    WHERE c.classid = 'pg_class'::regclass) r
        WHERE p.relname = new_name::name AND p.relkind IN ('r', 'p', 'f') AND r.root IS NOT NULL
          AND p.relispartition = ('partition attached' = ANY (changes)) AND NOT audit._is_empty(p.oid)
          AND (NOT p.relispartition OR p.oid = ANY (affected));
    END IF;
    IF 'partition detached' = ANY (changes) THEN
        affected := affected || ARRAY(SELECT c.oid FROM pg_class c
                                      WHERE c.relname = new_name::name AND NOT c.relispartition);
    END IF;
    IF changes && '{table created,partition attached}' THEN
        plan := plan || audit._plan_partitions(affected) || audit._plan_protected_partitions(affected);
        PERFORM audit._record_event('tracking_disabled', r.relation::text,
                                    format('now a partition of %s, and logged with it', r.root), NULL)
        FROM (SELECT a.relation::regclass AS relation, audit._tracked_as(a.relation) AS root
              FROM unnest(affected) a(relation)) r
        WHERE r.root <> r.relation
          AND EXISTS (SELECT FROM audit._own_triggers(r.relation) t WHERE t.is_row AND NOT t.is_clone);
    END IF;
    IF changes && '{table created,table moved,partition detached}' THEN
        -- Held to the end of the transaction: enable_tracking_schema waits for tables it cannot see yet.
        LOCK TABLE audit.tracked_schemas IN ROW SHARE MODE;
        plan := plan || audit._plan_new_tables(affected);
    END IF;
    IF 'partition detached' = ANY (changes) THEN
        plan := plan || audit._plan_detached(ARRAY(
            SELECT a.relation FROM unnest(affected) a(relation)
            EXCEPT SELECT (p.item ->> 'target')::oid FROM jsonb_array_elements(plan) p(item)));
    END IF;
    RETURN CASE WHEN plan <> '[]' THEN plan::text ELSE '' END;
END
$body$;
COMMENT ON FUNCTION audit._plan_after_ddl(text, text, text) IS
    'internal: what has to be done after a DDL statement';

CREATE FUNCTION audit._plan_item(target oid, is_new boolean, commands text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT jsonb_build_object('target', target, 'is_new', is_new, 'commands', to_jsonb(commands))
$body$;
COMMENT ON FUNCTION audit._plan_item(oid, boolean, text[]) IS 'internal: commands that belong together';

-- The server clones row triggers to new partitions and removes them from detached ones; TRUNCATE triggers are
-- our business. A table that was tracked itself before it became a partition would have its rows logged twice.
CREATE FUNCTION audit._plan_partitions(tables oid[]) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(jsonb_agg(audit._plan_item(r.root, false, c.commands) ORDER BY r.root), '[]')
    FROM (SELECT audit._tracked_as(a.relation) AS root, array_agg(a.relation) AS relations
          FROM unnest(tables) a(relation) GROUP BY 1) r
    CROSS JOIN LATERAL (
        SELECT audit._truncate_commands(r.root)
               || coalesce(array_agg(format('DROP TRIGGER %I ON %s', t.trigger_name, p.relation::regclass)), '{}')
        FROM unnest(r.relations) p(relation)
        CROSS JOIN LATERAL audit._own_triggers(p.relation) t
        WHERE p.relation <> r.root AND t.is_row AND NOT t.is_clone) c(commands)
    WHERE r.root IS NOT NULL AND c.commands <> '{}'
$body$;
COMMENT ON FUNCTION audit._plan_partitions(oid[]) IS
    'internal: the TRUNCATE triggers that partitions of tracked tables still need, and triggers they had before';

CREATE FUNCTION audit._plan_detached(tables oid[]) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(jsonb_agg(audit._plan_item(d.relation, false, d.commands) ORDER BY d.relation), '[]')
    FROM (SELECT tree.relid::oid AS relation,
                 array_agg(format('DROP TRIGGER %I ON %s', t.trigger_name, tree.relid::regclass)) AS commands
          FROM unnest(tables) a(relation)
          CROSS JOIN LATERAL (SELECT a.relation UNION SELECT p.relid FROM pg_partition_tree(a.relation) p
                             ) tree(relid)
          CROSS JOIN LATERAL audit._own_triggers(tree.relid) t
          WHERE NOT t.is_row AND audit._tracked_as(tree.relid) IS NULL
          GROUP BY tree.relid) d
$body$;
COMMENT ON FUNCTION audit._plan_detached(oid[]) IS
    'internal: the TRUNCATE triggers that detached partitions no longer need';

CREATE FUNCTION audit._plan_new_tables(tables oid[]) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(jsonb_agg(audit._plan_item(c.oid, true, audit._new_table_commands(
                                  c.oid, audit._latest_options(c.oid::regclass::text))) ORDER BY c.oid), '[]')
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN audit.tracked_schemas s ON s.schema_name = n.nspname
    WHERE c.oid = ANY (tables) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND c.relname::text <> ALL (s.except_tables)
      AND NOT EXISTS (SELECT FROM audit._own_triggers(c.oid) t WHERE t.is_row)
$body$;
COMMENT ON FUNCTION audit._plan_new_tables(oid[]) IS
    'internal: the triggers of tables that were made in a schema that is tracked';

-- A table that is made again under a name that was tracked before hides again what it hid.
CREATE FUNCTION audit._new_table_commands(target oid, options jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    key constant text[] := audit._key_columns(target);
    exclude constant text[] := ARRAY(SELECT jsonb_array_elements_text(options -> 'exclude'));
    mask constant text[] := ARRAY(SELECT jsonb_array_elements_text(options -> 'mask'));
    tenant constant text := CASE
        WHEN options -> 'tenant_column' IS NULL THEN audit._default_tenant(target, exclude || mask)
        ELSE options ->> 'tenant_column' END;
BEGIN
    RETURN audit._row_trigger_command(
               target,
               (SELECT audit._fit_name('audit_' || c.relname) FROM pg_class c WHERE c.oid = target),
               audit._trigger_arguments(target, exclude, mask, tenant, coalesce(options ->> 'detail', 'full'),
                                        coalesce((options ->> 'log_truncated_rows')::boolean, false),
                                        coalesce((options ->> 'phi')::boolean, false)))
           || audit._truncate_commands(target);
END
$body$;
COMMENT ON FUNCTION audit._new_table_commands(oid, jsonb) IS
    'internal: the commands that make the triggers of a new table, with former options or the defaults';

-- With the rights of the person who gave the statement: these are that person's tables. A failure must not undo
-- what the person did, so it becomes a warning.
CREATE FUNCTION audit._run_after_ddl(plan text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    item jsonb;
    done jsonb := '[]';
BEGIN
    FOR item IN SELECT i.value FROM jsonb_array_elements(plan::jsonb) i LOOP
        BEGIN
            EXECUTE (SELECT string_agg(c.value, '; ') FROM jsonb_array_elements_text(item -> 'commands') c);
            done := done || item;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'changes of % are not fully recorded: %',
                (item ->> 'target')::oid::regclass, SQLERRM
                USING HINT = format('SELECT audit.%s(%L);',
                                    CASE WHEN (item ->> 'is_new')::boolean THEN 'enable_tracking'
                                         ELSE 'repair_tracking' END,
                                    (item ->> 'target')::oid::regclass::text);
        END;
    END LOOP;
    RETURN done::text;
END
$body$;
COMMENT ON FUNCTION audit._run_after_ddl(text) IS
    'internal: runs what _plan_after_ddl found necessary, and returns what succeeded';

CREATE FUNCTION audit._finish_after_ddl(done text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    item record;
    options jsonb;
BEGIN
    FOR item IN
        SELECT (i.value ->> 'target')::oid::regclass AS relation, (i.value ->> 'is_new')::boolean AS is_new
        FROM jsonb_array_elements(done::jsonb) i
    LOOP
        PERFORM audit._set_always(t.oid)
        FROM (SELECT item.relation UNION SELECT p.relid FROM pg_partition_tree(item.relation) p) r(relation)
        JOIN pg_trigger t ON t.tgrelid = r.relation
        WHERE t.tgfoid IN ('audit.log_changes()'::regprocedure, 'audit.enforce_retention()'::regprocedure)
          AND t.tgenabled = 'O';
        IF item.is_new THEN
            SELECT audit._tracking_state(t.trigger_id) INTO options
            FROM audit._own_triggers(item.relation) t WHERE t.is_row;
            PERFORM audit._record_event(
                'tracking_enabled', item.relation::text, NULL,
                options || jsonb_build_object('was_empty', audit._is_empty(item.relation)));
            RAISE NOTICE 'tracking %: %', item.relation, audit._describe_tracking(
                item.relation, options ->> 'tenant_column', jsonb_array_length(options -> 'exclude'),
                jsonb_array_length(options -> 'mask'), options ->> 'detail',
                (options ->> 'log_truncated_rows')::boolean, (options ->> 'phi')::boolean);
        END IF;
    END LOOP;
    RETURN '';
END
$body$;
COMMENT ON FUNCTION audit._finish_after_ddl(text) IS
    'internal: records what was done after a DDL statement, and makes new triggers fire always';

CREATE FUNCTION audit._on_ddl_end() RETURNS event_trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'audit_on_ddl_end';
COMMENT ON FUNCTION audit._on_ddl_end() IS
    'event trigger: keeps tracking right after a statement that altered tables';

CREATE EVENT TRIGGER audit_guard_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER INDEX', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE',
                 'ALTER TYPE', 'ALTER SCHEMA', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO',
                 'CREATE SCHEMA')
    EXECUTE FUNCTION audit._on_ddl_end();
ALTER EVENT TRIGGER audit_guard_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER audit_guard_ddl IS
    'audit_guard: follows renames, new tables and partitions, and switched-off triggers';
