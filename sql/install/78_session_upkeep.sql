-- Purpose: what is done with sessions later: somebody looked at a suspicious one, and old ones go.
-- Who may call: audit_admin.
-- Relies on: 77_user_sessions.sql; when they are called, on 78_sessions.sql.

-- The reasons stay on the session: what is known about it is no news once more.
CREATE FUNCTION audit.clear_suspicion(session_id uuid, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.clear_suspicion(''...'', ''looked into, HD-91'');';
BEGIN
    IF session_id IS NULL THEN
        RAISE EXCEPTION 'session_id must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    END IF;
    PERFORM audit._check_reason(reason, retry);
    PERFORM audit._prepare_sessions();
    UPDATE audit.user_sessions s SET is_suspicious = false WHERE s.id = session_id AND s.is_suspicious;
    IF FOUND THEN
        PERFORM audit._record_event('suspicion_cleared', 'session ' || session_id, reason, '{}');
        RETURN true;
    ELSIF NOT EXISTS (SELECT FROM audit.user_sessions s WHERE s.id = session_id) THEN
        RAISE EXCEPTION 'session % does not exist', session_id
            USING ERRCODE = 'undefined_object', HINT = 'SELECT id FROM audit.suspicious_sessions;';
    END IF;
    RETURN false;
END
$body$;
COMMENT ON FUNCTION audit.clear_suspicion(uuid, text) IS
    'takes the mark from a suspicious session that somebody has looked into; false: it had none';

-- One by one, because a table of the application may refer to a session: that one stays. What was removed is in
-- the log of changes.
CREATE FUNCTION audit.purge_sessions(older_than interval DEFAULT '1 year', max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.purge_sessions(''1 year'');';
    candidate uuid;
    purged integer := 0;
BEGIN
    IF older_than IS NULL OR max_rows IS NULL THEN
        RAISE EXCEPTION 'older_than and max_rows must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF NOT audit._is_retention(older_than) THEN
        RAISE EXCEPTION 'older_than must be one day to 1000 years, and no part of it negative'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF max_rows NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'max_rows must be between 1 and 100000'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    PERFORM audit._prepare_sessions();
    FOR candidate IN
        SELECT s.id FROM audit.user_sessions s
        WHERE s.terminated_at < clock_timestamp() - older_than
        ORDER BY s.terminated_at
    LOOP
        EXIT WHEN purged >= max_rows;
        BEGIN
            DELETE FROM audit.user_sessions s WHERE s.id = candidate;
            purged := purged + FOUND::integer;
        EXCEPTION WHEN foreign_key_violation THEN
            NULL;
        END;
    END LOOP;
    RETURN purged;
END
$body$;
COMMENT ON FUNCTION audit.purge_sessions(interval, integer) IS
    'removes sessions that ended longer ago than this, at most max_rows, and returns how many; those that a '
    'foreign key refers to stay, and so do events and the log of changes';
