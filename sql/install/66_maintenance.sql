-- Purpose: has partitions made and expired rows removed on a schedule.
-- Who may call: audit_admin.
-- Relies on: 33_retention.sql, 40_partitions.sql; the worker is part of the preloaded library.

-- One row at most. A dump carries it: the restored database is maintained as the other was.
CREATE TABLE audit.maintenance_schedule (
    is_only boolean PRIMARY KEY DEFAULT true,
    schedule text COLLATE "C" NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_by text COLLATE "C" NOT NULL,
    CONSTRAINT maintenance_schedule_only CHECK (is_only)
);
COMMENT ON TABLE audit.maintenance_schedule IS 'when our own worker maintains this database';
COMMENT ON COLUMN audit.maintenance_schedule.is_only IS 'there is one schedule or none';
COMMENT ON COLUMN audit.maintenance_schedule.schedule IS
    'cron expression of five fields, in UTC';
COMMENT ON COLUMN audit.maintenance_schedule.decided_at IS 'when this was last decided';
COMMENT ON COLUMN audit.maintenance_schedule.decided_by IS 'the role that decided it';
COMMENT ON CONSTRAINT maintenance_schedule_only ON audit.maintenance_schedule IS 'one row at most';

-- The launcher cannot look into databases by itself. A trigger, so that a restore tells it, too.
CREATE FUNCTION audit._announce_schedule() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'audit_announce_schedule';
COMMENT ON FUNCTION audit._announce_schedule() IS
    'internal, trigger: has the launcher look at the schedule when the transaction has ended';
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON audit.maintenance_schedule
    FOR EACH STATEMENT EXECUTE FUNCTION audit._announce_schedule();
ALTER TABLE audit.maintenance_schedule ENABLE ALWAYS TRIGGER announce;
COMMENT ON TRIGGER announce ON audit.maintenance_schedule IS 'has the launcher look at the schedule';

CREATE FUNCTION audit._next_run(schedule text) RETURNS timestamptz
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'next_run_wrapper';
COMMENT ON FUNCTION audit._next_run(text) IS
    'internal: the first time after now that a cron expression means; refuses what is none';

CREATE FUNCTION audit._maintains_here() RETURNS boolean
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'maintains_here_wrapper';
COMMENT ON FUNCTION audit._maintains_here() IS
    'internal: whether our own worker maintains this database when it has a schedule';

CREATE FUNCTION audit._maintenance_schedule() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((SELECT m.schedule FROM audit.maintenance_schedule m), '')
$body$;
COMMENT ON FUNCTION audit._maintenance_schedule() IS
    'internal: the schedule that our worker follows, empty when there is none';

CREATE FUNCTION audit._maintain(kind text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF kind = 'partitions' THEN
        PERFORM audit.maintain_partitions();
        RETURN '';
    ELSIF kind = 'sessions' THEN
        RETURN CASE WHEN audit.expire_sessions(1000) = 1000 OR audit._sweep_logins(1000) >= 1000 THEN 'more'
                    ELSE '' END;
    END IF;
    RETURN (SELECT CASE WHEN bool_or(r.more) THEN 'more' ELSE '' END FROM audit.apply_retention() r);
END
$body$;
COMMENT ON FUNCTION audit._maintain(text) IS
    'internal: one step of what our worker does; says whether there is more to do';

CREATE FUNCTION audit._remember_maintenance(schedule text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF schedule IS NULL THEN
        DELETE FROM audit.maintenance_schedule;
    ELSE
        INSERT INTO audit.maintenance_schedule AS m (schedule, decided_by)
        VALUES (_remember_maintenance.schedule, (audit.current_context()).actor_role)
        ON CONFLICT ON CONSTRAINT maintenance_schedule_pkey DO UPDATE
            SET schedule = excluded.schedule, decided_at = excluded.decided_at,
                decided_by = excluded.decided_by;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._remember_maintenance(text) IS
    'internal: from now on our worker follows this schedule; null: none';

-- pg_cron runs a job as the role that made it, so this is no DEFINER function: nobody's rights are lent, and
-- our owner cannot log in. Several jobs, so that one can fail without the others. Each step is a transaction
-- of its own, hence the COMMIT, which a block may do that a job runs as its only command.
CREATE FUNCTION audit._schedule_with_cron(schedule text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    job record;
    retention constant text :=
        'DO $$BEGIN WHILE (SELECT bool_or(r.more) FROM audit.apply_retention() r) '
        'LOOP COMMIT; END LOOP; END$$';
    sessions constant text :=
        'DO $$BEGIN WHILE audit.expire_sessions() = 1000 LOOP COMMIT; END LOOP; END$$';
    is_known boolean;
    is_changed boolean := false;
BEGIN
    IF NOT has_schema_privilege('cron', 'USAGE') THEN
        RAISE EXCEPTION 'permission denied for schema cron'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As a superuser: GRANT USAGE ON SCHEMA cron TO %I;', current_user);
    ELSIF NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'pg_cron runs a job as the role that makes it, and % cannot log in',
                        quote_ident(current_user)
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'RESET ROLE;';
    END IF;
    FOR job IN
        SELECT v.name, v.command
        FROM (VALUES ('audit_guard partitions', 'SELECT audit.maintain_partitions()'),
                     ('audit_guard retention', retention),
                     ('audit_guard sessions', sessions)) v(name, command)
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM cron.job j WHERE j.jobname = $1 AND j.command = $2 '
                'AND j.schedule = $3 AND j.username = current_user AND j.active)'
            INTO is_known USING job.name, job.command, schedule;
        IF NOT is_known THEN
            EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING job.name, schedule, job.command;
            is_changed := true;
        END IF;
    END LOOP;
    RETURN is_changed;
END
$body$;
COMMENT ON FUNCTION audit._schedule_with_cron(text) IS
    'internal: makes or changes our jobs of pg_cron; returns whether there was anything to change';

CREATE FUNCTION audit.schedule_maintenance(schedule text DEFAULT '*/5 * * * *') RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    -- Not everybody may know where it is.
    cron_database constant text := CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
                                        THEN current_setting('cron.database_name', true) END;
    by_hand constant text := 'SELECT audit.maintain_partitions(); SELECT * FROM audit.apply_retention(); '
                             'SELECT audit.expire_sessions();';
    before constant text := audit._maintenance_schedule();
    runner text;
    is_changed boolean;
BEGIN
    IF schedule IS NULL THEN
        RAISE EXCEPTION 'schedule must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT audit.schedule_maintenance(''*/5 * * * *'');';
    END IF;
    PERFORM audit._next_run(schedule);
    IF EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_cron') THEN
        runner := 'pg_cron';
        is_changed := audit._schedule_with_cron(schedule) OR before <> '';
        IF before <> '' THEN
            PERFORM audit._remember_maintenance(NULL);
        END IF;
    ELSIF audit._maintains_here() THEN
        runner := 'worker';
        is_changed := before <> schedule;
        IF is_changed THEN
            PERFORM audit._remember_maintenance(schedule);
        END IF;
    ELSIF cron_database <> current_database() THEN
        RETURN format('nothing was scheduled: pg_cron is in database %I, so run there: SELECT %s;',
                      cron_database,
                      (SELECT string_agg(format('cron.schedule_in_database(%L, %L, %L, %L)',
                                                format('audit_guard %s of %s', v.name, current_database()),
                                                schedule, v.command, current_database()),
                                         ', ' ORDER BY v.place)
                       FROM (VALUES (1, 'partitions', 'SELECT audit.maintain_partitions()'),
                                    (2, 'retention', 'SELECT * FROM audit.apply_retention()'),
                                    (3, 'sessions', 'SELECT audit.expire_sessions()'))
                                   v(place, name, command)));
    ELSE
        RETURN format('nothing was scheduled: this database has no pg_cron, and audit_guard is not in '
                      'shared_preload_libraries. Run regularly, the second again while its column more says '
                      'so: %s', by_hand);
    END IF;
    IF is_changed THEN
        PERFORM audit._record_event('maintenance_scheduled', NULL, NULL,
                                    jsonb_build_object('schedule', schedule, 'runner', runner));
    END IF;
    RETURN CASE runner
        WHEN 'pg_cron' THEN format('scheduled with pg_cron as %I: %s', current_user, schedule)
        ELSE format('scheduled with the worker of audit_guard: %s, in UTC', schedule) END;
END
$body$;
COMMENT ON FUNCTION audit.schedule_maintenance(text) IS
    'has partitions made, expired rows removed and sessions that ran out ended, by pg_cron where it is '
    'installed, else by the worker of the preloaded library; says what it did, or what to run instead; '
    'schedule is a cron expression of five fields, for the worker in UTC';
