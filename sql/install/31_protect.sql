-- Purpose: protects a table of a user: its rows are never changed, and go only when they are expired.
-- Who may call: members of audit_admin that own the table (the functions run with the caller's rights).
-- Relies on: 25_protection_rules.sql, 21_guard_events.sql; when they are called, on 45_tracking_rules.sql.

CREATE FUNCTION audit._write_policy(
    kind text, target regclass, timestamp_column name, retention interval, previous interval)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'iso_8601'
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
BEGIN
    INSERT INTO audit.guard_policies
        (table_schema, table_name, timestamp_column, retention, set_by, transaction_id)
    SELECT n.nspname, c.relname, _write_policy.timestamp_column, _write_policy.retention, who.login_role,
           pg_current_xact_id()::text::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = target;
    PERFORM audit._record_event(
        kind, target::text, NULL,
        CASE WHEN previous IS NULL
             THEN jsonb_build_object('retention', retention::text, 'timestamp_column', timestamp_column)
             ELSE jsonb_build_object('from', previous::text, 'to', retention::text) END);
END
$body$;
COMMENT ON FUNCTION audit._write_policy(text, regclass, name, interval, interval) IS
    'internal: writes down that a retention was set: one row of guard_policies, one of guard_events';

-- What is written down is read from the trigger, so that it cannot be anything else.
CREATE FUNCTION audit._record_protection(target regclass) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT audit._write_policy('protection_enabled', p.target, p.timestamp_column, p.retention, NULL)
    FROM audit._protected() p
    WHERE p.target = _record_protection.target AND NOT p.is_stream
    ORDER BY p.trigger_id
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._record_protection(regclass) IS
    'internal: writes down that a table is protected now, with what its trigger says';

-- Changes the arguments of a trigger, which nobody else may; so it runs with our owner's rights and asks for
-- those of the caller.
CREATE FUNCTION audit._extend_protection(target regclass, retention interval) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    caller constant name := (audit.current_context()).actor_role;
    own record;
    previous interval;
    chosen name;
BEGIN
    IF NOT pg_has_role(caller, (SELECT c.relowner FROM pg_class c WHERE c.oid = target), 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', target
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As its owner: SET ROLE %s;',
                                (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = target));
    END IF;
    FOR own IN
        SELECT p.trigger_id, p.retention, p.timestamp_column
        FROM audit._protected() p WHERE p.target = _extend_protection.target AND NOT p.is_stream
        ORDER BY p.trigger_id
    LOOP
        PERFORM audit._extend_policy(own.trigger_id, _extend_protection.retention);
        previous := coalesce(previous, own.retention);
        chosen := coalesce(chosen, own.timestamp_column);
    END LOOP;
    PERFORM audit._write_policy('retention_extended', target, chosen, retention, previous);
END
$body$;
COMMENT ON FUNCTION audit._extend_protection(regclass, interval) IS
    'internal: makes the retention of a user''s table longer and writes that down';

CREATE FUNCTION audit._extend_stream(target regclass, retention interval) RETURNS interval
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    present interval;
    stream_column name;
BEGIN
    PERFORM audit._check_retention(target, retention, 'extend_retention');
    -- Two sessions at once would each compare with what was there before.
    LOCK TABLE audit.guard_policies IN SHARE ROW EXCLUSIVE MODE;
    SELECT audit._stream_retention(s.stream), s.timestamp_column INTO present, stream_column
    FROM audit._stream_policies() s WHERE s.stream = target AND s.retention IS NOT NULL;
    IF present IS NULL THEN
        RAISE EXCEPTION 'rows of % are kept for ever', target
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT target, retention FROM audit.protected_tables;';
    ELSIF audit._compare_retention(retention, present) <> 'longer' THEN
        PERFORM audit._refuse_shorter(target, retention, present);
    END IF;
    PERFORM audit._write_policy('retention_extended', target, stream_column, retention, present);
    RETURN present;
END
$body$;
COMMENT ON FUNCTION audit._extend_stream(regclass, interval) IS
    'internal: makes the retention of one of our append-only tables longer; returns what it was';

CREATE FUNCTION audit._refuse_shorter(target regclass, retention interval, present interval) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $body$
BEGIN
    RAISE EXCEPTION '%', CASE
            WHEN audit._compare_retention(retention, present) = 'equal'
            THEN format('rows of %s stay for %s already', target, present)
            ELSE format('rows of %s stay for %s: %s is shorter, or may be', target, present, retention) END
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('A retention only becomes longer: SELECT audit.extend_retention(%L, %L);',
                            target::text, present + interval '1 year');
END
$body$;
COMMENT ON FUNCTION audit._refuse_shorter(regclass, interval, interval) IS
    'internal: refuses a retention that is not longer than the present one';

CREATE FUNCTION audit.protect(
    target regclass, retention interval DEFAULT '7 years', timestamp_column name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $body$
DECLARE
    policy record;
    compared text;
    wanted_name name;
BEGIN
    PERFORM audit._check_exists(target, 'protect');
    PERFORM audit._check_retention(target, retention, 'protect');
    PERFORM audit._check_protectable(target);
    PERFORM audit._check_owner(target);
    -- What CREATE TRIGGER needs anyway. While we waited for it, everything may have become different.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', target);
    PERFORM audit._check_exists(target, 'protect');
    PERFORM audit._check_protectable(target);
    PERFORM audit._check_owner(target);

    SELECT p.retention, p.timestamp_column INTO policy
    FROM audit._protected() p WHERE p.target = protect.target ORDER BY p.trigger_id LIMIT 1;
    IF NOT FOUND THEN
        timestamp_column := audit._choose_timestamp(target, timestamp_column);
        SELECT audit._fit_name('protect_' || c.relname) INTO wanted_name FROM pg_class c WHERE c.oid = target;
        PERFORM audit._execute(
            audit._protect_row_command(target, wanted_name, retention, timestamp_column)
            || audit._protect_statement_commands(target));
        PERFORM audit._execute(audit._protect_always_commands(target));
        PERFORM audit._record_protection(target);
        PERFORM audit._notice_protection(target);
        RAISE NOTICE 'protecting %: rows stay for % after %; UPDATE and TRUNCATE are refused, and DELETE until '
                     'then', target, retention, timestamp_column;
        RETURN;
    END IF;

    -- Protected again: with nothing new, that mends its triggers.
    PERFORM audit._execute(audit._protect_statement_commands(target));
    PERFORM audit._execute(audit._protect_always_commands(target));
    IF policy.retention IS NULL OR policy.timestamp_column IS NULL THEN
        RAISE EXCEPTION 'the trigger that protects % cannot be read: no row of it goes', target
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT * FROM audit.guard_status() WHERE NOT in_force;';
    ELSIF timestamp_column <> policy.timestamp_column THEN
        RAISE EXCEPTION '% is protected already, and % says how old a row is', target,
            quote_ident(policy.timestamp_column)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT audit.extend_retention(%L, %L);', target::text, retention);
    END IF;
    compared := audit._compare_retention(retention, policy.retention);
    IF compared = 'shorter' THEN
        PERFORM audit._refuse_shorter(target, retention, policy.retention);
    ELSIF compared = 'longer' THEN
        PERFORM audit._extend_protection(target, retention);
    END IF;
    RAISE NOTICE '% was protected already: rows stay for % after %', target, retention, policy.timestamp_column;
END
$body$;
COMMENT ON FUNCTION audit.protect(regclass, interval, name) IS
    'keeps the rows of a table from now on: none is changed, and none goes before its retention is over; for '
    'ever, as there is no opposite. timestamp_column says how old a row is: null = created_at, logged_at, '
    'inserted_at or occurred_at, whichever the table has first. Called again, it mends triggers, or makes '
    'the retention longer';

CREATE FUNCTION audit.extend_retention(target regclass, retention interval) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $body$
DECLARE
    protected_as regclass;
    present interval;
BEGIN
    PERFORM audit._check_exists(target, 'extend_retention');
    PERFORM audit._check_retention(target, retention, 'extend_retention');
    protected_as := coalesce(audit._stream_of(target), audit._protected_as(target));
    IF protected_as IS NULL THEN
        RAISE EXCEPTION '% is not protected', target
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.protect(%L, %L);', target::text, retention);
    ELSIF protected_as <> target THEN
        RAISE EXCEPTION '% is protected as a partition of %', target, protected_as
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT audit.extend_retention(%L, %L);', protected_as::text, retention);
    ELSIF audit._stream_of(target) IS NOT NULL THEN
        present := audit._extend_stream(target, retention);
    ELSE
        PERFORM audit._check_owner(target);
        EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', target);
        SELECT p.retention INTO present FROM audit._protected() p WHERE p.target = extend_retention.target
        ORDER BY p.trigger_id LIMIT 1;
        IF audit._compare_retention(retention, present) IS DISTINCT FROM 'longer' THEN
            PERFORM audit._refuse_shorter(target, retention, present);
        END IF;
        PERFORM audit._extend_protection(target, retention);
    END IF;
    RAISE NOTICE '%: rows stay for %, so far %', target, retention, present;
END
$body$;
COMMENT ON FUNCTION audit.extend_retention(regclass, interval) IS
    'keeps the rows of a protected table, or of one of our own, for longer; it never becomes shorter again';
