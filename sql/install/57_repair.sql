-- Purpose: mends triggers of ours that a restore or a load script has switched off or lost, by one call.
-- Who may call: members of audit_admin that own the tables.
-- Relies on: 50_tracking.sql, 54_ddl.sql.

-- Runs with our owner's rights, because nobody but the event trigger may write the arguments of a trigger.
CREATE FUNCTION audit._renew_tracking(target regclass) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT audit._follow_columns(ARRAY[target::oid], '', '', true)
$body$;
COMMENT ON FUNCTION audit._renew_tracking(regclass) IS
    'internal: renews the columns in the arguments of a table''s triggers, which means the same as before';

-- The tables of the log belong to audit_owner, which nobody can become.
CREATE FUNCTION audit._repair_streams() RETURNS SETOF regclass
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT t.tgrelid::regclass AS relation, array_agg(t.oid) AS triggers,
               array_agg(t.tgname ORDER BY t.tgname) AS names
        FROM audit._weak_guards() t
        GROUP BY t.tgrelid
        ORDER BY t.tgrelid::regclass::text
    LOOP
        PERFORM audit._set_always(a.trigger_id) FROM unnest(own.triggers) a(trigger_id);
        PERFORM audit._record_event('tracking_repaired', own.relation::text, NULL,
                                    jsonb_build_object('set_to_always', own.names));
        RETURN NEXT own.relation;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._repair_streams() IS
    'internal: makes the triggers that keep our own tables append-only fire always';

CREATE FUNCTION audit._weak_guards() RETURNS TABLE (oid oid, tgrelid oid, tgname name)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT t.oid, t.tgrelid, t.tgname
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = 'audit'::regnamespace AND t.tgenabled <> 'A'
      AND t.tgfoid IN ('audit.prevent_modification()'::regprocedure,
                       'audit.prevent_audit_modification()'::regprocedure)
$body$;
COMMENT ON FUNCTION audit._weak_guards() IS
    'internal: triggers on our own tables that do not always fire';

CREATE FUNCTION audit.repair_tracking(target regclass DEFAULT NULL) RETURNS SETOF regclass
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    tracked record;
    commands text[];
BEGIN
    IF target IS NOT NULL THEN
        PERFORM audit._check_exists(target, 'repair_tracking');
        IF audit._tracked_as(target) IS NULL THEN
            RAISE EXCEPTION '% is not tracked', target
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('SELECT audit.enable_tracking(%L);', target::text);
        END IF;
        PERFORM audit._check_owner(audit._tracked_as(target));
    ELSE
        RETURN QUERY SELECT r.* FROM audit._repair_streams() r;
    END IF;

    FOR tracked IN
        SELECT t.target AS relation, c.relowner::regrole AS owner, pg_has_role(c.relowner, 'USAGE') AS is_owner
        FROM (SELECT DISTINCT t.target FROM audit.tracked_tables t) t
        JOIN pg_class c ON c.oid = t.target
        WHERE repair_tracking.target IS NULL OR t.target = audit._tracked_as(repair_tracking.target)
        ORDER BY t.target::text
    LOOP
        commands := audit._truncate_commands(tracked.relation) || audit._always_commands(tracked.relation);
        IF commands <> '{}' AND NOT tracked.is_owner THEN
            RAISE NOTICE '% skipped: it belongs to %', tracked.relation, tracked.owner;
            CONTINUE;
        END IF;
        PERFORM audit._renew_tracking(tracked.relation);
        CONTINUE WHEN commands = '{}';
        PERFORM audit._execute(commands);
        -- Triggers that were only made now.
        PERFORM audit._execute(audit._always_commands(tracked.relation));
        PERFORM audit._record_event('tracking_repaired', tracked.relation::text, NULL,
                                    jsonb_build_object('commands', commands));
        RETURN NEXT tracked.relation;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit.repair_tracking(regclass) IS
    'switches on and completes the triggers of one tracked table, or of all that the caller owns, with the '
    'options they have; returns what had to be mended';
