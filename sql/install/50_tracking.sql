-- Purpose: switches the recording of a table's changes on and off.
-- Who may call: members of audit_admin that own the table (the functions run with the caller's rights).
-- Relies on: 45_tracking_rules.sql, 21_guard_events.sql, 40_partitions.sql.

-- Options are stored in the arguments of the trigger, because those travel in every dump. A column is stored
-- as name#number@table, so that a later rename is noticed and a hidden column is never shown by mistake.
CREATE FUNCTION audit._trigger_arguments(
    target regclass, exclude text[], mask text[], tenant text, detail text, log_truncated_rows boolean,
    phi boolean)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(string_agg(quote_literal(argument.value), ', '
                               ORDER BY argument.place, argument.attnum), '')
    FROM (SELECT o.place, a.attnum,
                 format('%s=%s#%s@%s', o.option, a.attname, a.attnum, _trigger_arguments.target::oid)
          FROM (VALUES (1, 'exclude', _trigger_arguments.exclude),
                       (2, 'mask', _trigger_arguments.mask),
                       (3, 'tenant', ARRAY[_trigger_arguments.tenant])) o(place, option, names)
          JOIN pg_attribute a ON a.attname::text = ANY (o.names)
          WHERE a.attrelid = _trigger_arguments.target AND a.attnum > 0 AND NOT a.attisdropped
          UNION ALL
          SELECT 4, 0, 'detail=' || _trigger_arguments.detail WHERE _trigger_arguments.detail <> 'full'
          UNION ALL
          SELECT 5, 0, 'log_truncated_rows' WHERE _trigger_arguments.log_truncated_rows
          UNION ALL
          SELECT 6, 0, 'phi' WHERE _trigger_arguments.phi
         ) argument(place, attnum, value)
$body$;
COMMENT ON FUNCTION audit._trigger_arguments(regclass, text[], text[], text, text, boolean, boolean) IS
    'internal: the argument list of a tracking trigger; only what differs from the defaults';

CREATE FUNCTION audit._check_options(
    target regclass, exclude text[], mask text[], tenant_column name, detail text, log_truncated_rows boolean,
    phi boolean)
RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := format('SELECT audit.enable_tracking(%L);', target::text);
    offending text;
BEGIN
    PERFORM audit._check_columns(target, 'exclude', exclude);
    PERFORM audit._check_columns(target, 'mask', mask);
    IF tenant_column <> '' THEN
        PERFORM audit._check_columns(target, 'tenant_column', ARRAY[tenant_column::text]);
    END IF;
    IF detail IS NULL OR log_truncated_rows IS NULL OR phi IS NULL THEN
        RAISE EXCEPTION 'detail, log_truncated_rows and phi must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF detail NOT IN ('full', 'delta', 'changed') THEN
        RAISE EXCEPTION 'detail must be full, delta or changed'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT audit.enable_tracking(%L, detail => ''delta'');', target::text);
    END IF;

    SELECT k.name INTO offending
    FROM unnest(audit._key_columns(target)) k(name) WHERE k.name = ANY (exclude || mask) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" is part of the key of % and cannot be hidden', offending, target
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Without the key nobody could tell whose history it is. Leave it out: ' || retry;
    END IF;
    SELECT e.name INTO offending FROM unnest(exclude) e(name) WHERE e.name = ANY (mask) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of % is both excluded and masked', offending, target
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT audit.enable_tracking(%L, mask => ARRAY[%L]);',
                                target::text, offending);
    END IF;
    IF tenant_column::text = ANY (exclude || mask) THEN
        RAISE EXCEPTION 'tenant column "%" of % cannot be hidden', tenant_column, target
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Without a tenant: SELECT audit.enable_tracking(%L, tenant_column => '''');',
                                target::text);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_options(regclass, text[], text[], name, text, boolean, boolean) IS
    'internal: refuses options that contradict each other or the table';

-- Removes triggers of ours that would log the same rows or the same TRUNCATE twice, and refuses foreign triggers
-- that have our names. A partition keeps its TRUNCATE trigger: it needs one of its own.
CREATE FUNCTION audit._clear_the_way(target regclass, keep name, wanted name[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT t.tgname, t.tgrelid::regclass AS relation
        FROM pg_trigger t
        WHERE t.tgrelid IN (SELECT _clear_the_way.target
                            UNION SELECT p.relid FROM pg_partition_tree(target) p)
          AND t.tgname = ANY (wanted)
          AND t.tgfoid <> 'audit.log_changes()'::regprocedure
        ORDER BY t.tgrelid::regclass::text, t.tgname
        LIMIT 1
    LOOP
        RAISE EXCEPTION 'trigger "%" of % exists and is not a tracking trigger', own.tgname, own.relation
            USING ERRCODE = 'duplicate_object',
                  HINT = format('ALTER TRIGGER %I ON %s RENAME TO %I;', own.tgname, own.relation,
                                audit._fit_name('app_' || own.tgname));
    END LOOP;

    FOR own IN
        SELECT t.trigger_name, r.relation, r.relation <> target AS on_partition
        FROM (SELECT _clear_the_way.target UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relation)
        CROSS JOIN LATERAL audit._own_triggers(r.relation) t
        WHERE NOT t.is_clone
          AND CASE WHEN t.is_row THEN r.relation <> target OR t.trigger_name IS DISTINCT FROM keep
                   ELSE EXISTS (SELECT FROM audit._own_triggers(r.relation) other
                                WHERE NOT other.is_row AND other.trigger_id < t.trigger_id) END
        ORDER BY r.relation::text, t.trigger_name
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', own.trigger_name, own.relation);
        IF own.on_partition THEN
            RAISE NOTICE 'trigger "%" of % removed: it is a partition of % and is logged with it',
                own.trigger_name, own.relation, target;
        ELSE
            RAISE NOTICE 'trigger "%" of % removed: it would log the same rows twice',
                own.trigger_name, own.relation;
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._clear_the_way(regclass, name, name[]) IS
    'internal: makes sure that each row of the table is logged exactly once';

CREATE FUNCTION audit._row_trigger_command(target regclass, trigger_name name, arguments text) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('CREATE OR REPLACE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s '
                  'FOR EACH ROW EXECUTE FUNCTION audit.log_changes(%s)', trigger_name, target, arguments)
$body$;
COMMENT ON FUNCTION audit._row_trigger_command(regclass, name, text) IS
    'internal: the command that makes the trigger which records changes of rows';

-- A table and its partitions, without those that are foreign tables where the server (15) knows no such trigger
-- on them.
CREATE FUNCTION audit._truncatable(target regclass) RETURNS SETOF oid
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT c.oid
    FROM (SELECT _truncatable.target UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relation)
    JOIN pg_class c ON c.oid = r.relation
    WHERE c.relkind <> 'f' OR current_setting('server_version_num')::integer >= 160000
$body$;
COMMENT ON FUNCTION audit._truncatable(regclass) IS
    'internal: a table and those of its partitions that can have a TRUNCATE trigger';

-- The server clones row triggers to partitions, but not these.
CREATE FUNCTION audit._truncate_commands(target regclass) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(array_agg(
        format('CREATE TRIGGER %I BEFORE TRUNCATE ON %s '
               'FOR EACH STATEMENT EXECUTE FUNCTION audit.log_changes()',
               audit._fit_name('audit_' || c.relname || '_truncate'), c.oid::regclass)
        ORDER BY c.oid::regclass::text), '{}')
    FROM audit._truncatable(target) r(relation)
    JOIN pg_class c ON c.oid = r.relation
    WHERE NOT EXISTS (SELECT FROM audit._own_triggers(c.oid) t WHERE NOT t.is_row)
$body$;
COMMENT ON FUNCTION audit._truncate_commands(regclass) IS
    'internal: the commands that make the missing TRUNCATE triggers of a table and its partitions';

-- ALWAYS records in replica mode, too.
CREATE FUNCTION audit._always_commands(target regclass) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(array_agg(format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::regclass, t.tgname)
                              ORDER BY t.tgparentid, t.tgrelid::regclass::text, t.tgname), '{}')
    FROM (SELECT _always_commands.target UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relation)
    JOIN pg_trigger t ON t.tgrelid = r.relation
    WHERE t.tgfoid = 'audit.log_changes()'::regprocedure AND t.tgenabled <> 'A'
$body$;
COMMENT ON FUNCTION audit._always_commands(regclass) IS
    'internal: the commands that switch the triggers of a table and its partitions to ALWAYS';

CREATE FUNCTION audit._execute(commands text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    command text;
BEGIN
    FOREACH command IN ARRAY commands LOOP
        EXECUTE command;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._execute(text[]) IS 'internal: runs commands with the rights of the caller';

CREATE FUNCTION audit._describe_tracking(
    target regclass, tenant text, excluded integer, masked integer, detail text, log_truncated_rows boolean,
    phi boolean)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT concat_ws(', ',
        coalesce('key ' || nullif(array_to_string(audit._key_columns(target), ', '), ''), 'no key'),
        coalesce('tenant ' || tenant, 'no tenant'),
        CASE WHEN excluded = 0 AND masked = 0 AND detail = 'full' THEN 'everything logged' END,
        CASE WHEN excluded = 1 THEN '1 column excluded'
             WHEN excluded > 1 THEN excluded || ' columns excluded' END,
        CASE WHEN masked = 0 THEN NULL
             WHEN excluded > 0 THEN masked || ' masked'
             WHEN masked = 1 THEN '1 column masked' ELSE masked || ' columns masked' END,
        CASE WHEN detail <> 'full' THEN 'detail ' || detail END,
        CASE WHEN log_truncated_rows THEN 'truncated rows logged' END,
        CASE WHEN phi THEN 'phi' END)
$body$;
COMMENT ON FUNCTION audit._describe_tracking(regclass, text, integer, integer, text, boolean, boolean) IS
    'internal: the options in words, for the notice';

CREATE FUNCTION audit.enable_tracking(
    target regclass, exclude text[] DEFAULT '{}', mask text[] DEFAULT '{}', tenant_column name DEFAULT NULL,
    detail text DEFAULT 'full', log_truncated_rows boolean DEFAULT false, phi boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    table_name text;
    tenant text;
    row_trigger name;
    options_before jsonb;
    options_now jsonb;
    summary text;
    heirs text;
BEGIN
    PERFORM audit._check_exists(target, 'enable_tracking');
    PERFORM audit._check_trackable(target);
    PERFORM audit._check_owner(target);
    -- What CREATE TRIGGER needs anyway; taken first, so that nobody else enables the table at the same time.
    -- While we waited for it, the table may have got another owner, become a partition, or be gone.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', target);
    PERFORM audit._check_exists(target, 'enable_tracking');
    PERFORM audit._check_trackable(target);
    PERFORM audit._check_owner(target);
    PERFORM audit._check_options(target, exclude, mask, tenant_column, detail, log_truncated_rows, phi);
    tenant := CASE WHEN tenant_column IS NULL THEN audit._default_tenant(target, exclude || mask)
                   ELSE nullif(tenant_column::text, '') END;

    -- A table that is tracked keeps the names of its triggers, even if it was renamed since.
    SELECT c.relname INTO table_name FROM pg_class c WHERE c.oid = target;
    row_trigger := audit._fit_name('audit_' || table_name);
    SELECT t.trigger_name, audit._tracking_state(t.trigger_id) INTO row_trigger, options_before
    FROM audit._own_triggers(target) t
    WHERE t.is_row AND NOT t.is_clone AND NOT t.is_constraint
    ORDER BY t.trigger_name = row_trigger DESC, t.trigger_id LIMIT 1;
    row_trigger := coalesce(row_trigger, audit._fit_name('audit_' || table_name));

    PERFORM audit._clear_the_way(
        target, CASE WHEN options_before IS NOT NULL THEN row_trigger END,
        ARRAY[row_trigger]
        || CASE WHEN NOT EXISTS (SELECT FROM audit._own_triggers(target) t WHERE NOT t.is_row)
                THEN ARRAY[audit._fit_name('audit_' || table_name || '_truncate')] END);
    PERFORM audit._execute(
        audit._row_trigger_command(
            target, row_trigger,
            audit._trigger_arguments(target, exclude, mask, tenant, detail, log_truncated_rows, phi))
        || audit._truncate_commands(target));
    -- Replacing a trigger resets this.
    PERFORM audit._execute(audit._always_commands(target));
    IF NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = 'audit.audit_log'::regclass) THEN
        PERFORM audit.maintain_partitions();
    END IF;

    SELECT audit._tracking_state(t.trigger_id) INTO options_now
    FROM audit._own_triggers(target) t WHERE t.trigger_name = row_trigger;
    summary := audit._describe_tracking(
        target, tenant, (SELECT count(DISTINCT e.name)::integer FROM unnest(exclude) e(name)),
        (SELECT count(DISTINCT m.name)::integer FROM unnest(mask) m(name)), detail, log_truncated_rows, phi);
    IF options_before IS NULL THEN
        -- History is complete from a moment at which there was nothing yet.
        PERFORM audit._record_event('tracking_enabled', target::text, NULL,
                                    options_now || jsonb_build_object('was_empty', audit._is_empty(target)));
        RAISE NOTICE 'tracking %: %', target, summary;
        -- Triggers reach partitions, but not tables that inherit in the old way.
        SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text) INTO heirs
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = target AND NOT c.relispartition;
        IF heirs IS NOT NULL THEN
            RAISE NOTICE 'rows of tables that inherit from % are not logged: %', target, heirs
                USING HINT = 'SELECT audit.enable_tracking(...) for each of them.';
        END IF;
    ELSE
        PERFORM audit._record_event('tracking_changed', target::text, NULL,
                                    jsonb_build_object('before', options_before, 'now', options_now));
        RAISE NOTICE '% was tracked already, options replaced: %', target, summary;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit.enable_tracking(regclass, text[], text[], name, text, boolean, boolean) IS
    'records every change of a table from now on; called again, it replaces the options. exclude: columns left '
    'out; mask: columns logged as null; tenant_column: null = the first of audit_guard.tenant_columns that the '
    'table has, '''' = none; detail: full, delta (of the old row only what changed) or changed (only what changed '
    'of both); log_truncated_rows: TRUNCATE logs each row; phi: each change counts as access to protected '
    'health information';

CREATE FUNCTION audit.disable_tracking(target regclass, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    tracked_as regclass;
    options_before jsonb;
    commands text[];
BEGIN
    PERFORM audit._check_exists(target, 'disable_tracking');
    PERFORM audit._check_owner(target);
    tracked_as := audit._tracked_as(target);
    IF tracked_as <> target THEN
        RAISE EXCEPTION '% is logged as a partition of %', target, tracked_as
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.disable_tracking(%L);', tracked_as::text);
    END IF;
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', target);
    SELECT array_agg(format('DROP TRIGGER %I ON %s', t.trigger_name, r.relation)
                     ORDER BY r.relation::text, t.trigger_id),
           (array_agg(audit._tracking_state(t.trigger_id) ORDER BY t.trigger_id) FILTER (WHERE t.is_row))[1]
    INTO commands, options_before
    FROM (SELECT disable_tracking.target UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relation)
    CROSS JOIN LATERAL audit._own_triggers(r.relation) t
    WHERE NOT t.is_clone;
    IF commands IS NULL THEN
        RAISE NOTICE '% is not tracked', target;
        RETURN;
    END IF;
    -- First, so that the triggers do not seem to have been dropped by somebody else.
    PERFORM audit._record_event('tracking_disabled', target::text, reason, options_before);
    PERFORM audit._execute(commands);
    RAISE NOTICE '% is no longer tracked; its history stays', target;
END
$body$;
COMMENT ON FUNCTION audit.disable_tracking(regclass, text) IS
    'stops recording changes of a table; what was recorded stays, and the reason is kept in guard_events';
