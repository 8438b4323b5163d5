-- Purpose: the end of sessions: by a person, by somebody who may, by time, or for a newer one at the limit.
-- Who may call: audit_writer.
-- Relies on: 77_user_sessions.sql; when they are called, on 78_sessions.sql and the logins.

-- The recheck after a wait decides: of two that end a session at once, one finds it ended.
CREATE FUNCTION audit._end_session(
    session_id uuid, reason text, detail jsonb DEFAULT '{}', ip_address inet DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    session audit.user_sessions;
BEGIN
    UPDATE audit.user_sessions s SET terminated_at = clock_timestamp(), termination_reason = reason
    WHERE s.id = session_id AND s.terminated_at IS NULL
    RETURNING s.* INTO session;
    IF session.id IS NULL THEN
        RETURN false;
    END IF;
    PERFORM audit._session_event(session, 'session_terminated', 'session ended: ' || reason,
                                 detail || jsonb_build_object('reason', reason),
                                 CASE WHEN reason = 'security' THEN 'warning' ELSE 'info' END,
                                 _end_session.ip_address);
    RETURN true;
END
$body$;
COMMENT ON FUNCTION audit._end_session(uuid, text, jsonb, inet) IS
    'internal: ends a session and writes the event of it; false when it had ended before';

CREATE FUNCTION audit._check_termination(reason text, retry text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF reason IS NULL THEN
        RAISE EXCEPTION 'reason must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF reason NOT IN ('logout', 'expired', 'admin_revoke', 'security', 'replaced') THEN
        RAISE EXCEPTION 'reason must be logout, expired, admin_revoke, security or replaced'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_termination(text, text) IS
    'internal: refuses what is no reason to end a session';

CREATE FUNCTION audit.terminate_session(session_id uuid, reason text DEFAULT 'logout') RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.terminate_session(''...'', reason => ''logout'');';
BEGIN
    IF session_id IS NULL THEN
        RAISE EXCEPTION 'session_id must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    END IF;
    PERFORM audit._check_termination(reason, retry);
    PERFORM audit._prepare_sessions();
    IF audit._end_session(session_id, reason) THEN
        RETURN true;
    ELSIF NOT EXISTS (SELECT FROM audit.user_sessions s WHERE s.id = session_id) THEN
        RAISE EXCEPTION 'session % does not exist', session_id
            USING ERRCODE = 'undefined_object', HINT = 'SELECT id FROM audit.active_sessions;';
    END IF;
    RETURN false;
END
$body$;
COMMENT ON FUNCTION audit.terminate_session(uuid, text) IS
    'ends a session; true: this call ended it, false: it had ended before. reason: logout, expired, '
    'admin_revoke, security or replaced';

-- A login at the limit ends sessions, too: behind the same lock, so that the two do not wait for each other.
CREATE FUNCTION audit.terminate_all_sessions(
    user_id uuid DEFAULT NULL, subject text DEFAULT NULL, except_session uuid DEFAULT NULL,
    reason text DEFAULT 'admin_revoke')
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.terminate_all_sessions(subject => ''...'');';
    person constant record := audit._session_person(subject, user_id, retry);
    candidate uuid;
    ended integer := 0;
BEGIN
    PERFORM audit._check_termination(reason, retry);
    PERFORM audit._prepare_sessions();
    PERFORM audit._lock_person(person.subject);
    FOR candidate IN
        SELECT s.id FROM audit.user_sessions s
        WHERE s.subject = person.subject AND s.terminated_at IS NULL AND s.id IS DISTINCT FROM except_session
        ORDER BY s.id
    LOOP
        IF audit._end_session(candidate, reason) THEN
            ended := ended + 1;
        END IF;
    END LOOP;
    RETURN ended;
END
$body$;
COMMENT ON FUNCTION audit.terminate_all_sessions(uuid, text, uuid, text) IS
    'ends all sessions of a person, named by user_id or subject, except one if it is given; returns how many';

-- Whether a session is alive never depends on this: it only writes down what its times have decided.
CREATE FUNCTION audit._expire_sessions(max_rows integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    at constant timestamptz := clock_timestamp();
    candidate uuid;
    ended integer := 0;
BEGIN
    FOR candidate IN
        SELECT s.id FROM audit.user_sessions s
        WHERE s.terminated_at IS NULL
          AND audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) <= at
        ORDER BY audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at)
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    LOOP
        IF audit._end_session(candidate, 'expired') THEN
            ended := ended + 1;
        END IF;
    END LOOP;
    RETURN ended;
END
$body$;
COMMENT ON FUNCTION audit._expire_sessions(integer) IS
    'internal: ends sessions that have run out, the oldest first, and returns their number';

CREATE FUNCTION audit.expire_sessions(max_rows integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    ended integer;
BEGIN
    IF max_rows IS NULL THEN
        RAISE EXCEPTION 'max_rows must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'SELECT audit.expire_sessions();';
    ELSIF max_rows NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'max_rows must be between 1 and 100000'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT audit.expire_sessions();';
    END IF;
    -- A database without sessions gets no triggers.
    IF EXISTS (SELECT FROM audit.user_sessions) THEN
        PERFORM audit._prepare_sessions();
    END IF;
    ended := audit._expire_sessions(max_rows);
    PERFORM audit._sweep_logins(max_rows);
    RETURN ended;
END
$body$;
COMMENT ON FUNCTION audit.expire_sessions(integer) IS
    'ends sessions that have run out and returns their number, and removes counters of logins that decide '
    'nothing any more; at most max_rows of each, so call it regularly';

-- Called before a session is made. The lock is held to the end of the transaction, so whoever waits for it
-- sees the session that it waited for. A snapshot that is older than the lock would not show it.
CREATE FUNCTION audit._make_room(subject text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    most constant integer := current_setting('audit_guard.session_limit');
    policy constant text := current_setting('audit_guard.session_limit_policy');
    at timestamptz;
    candidate uuid;
    excess integer;
BEGIN
    IF most = 0 THEN
        RETURN;
    ELSIF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'audit_guard.session_limit cannot be kept in a % transaction',
                        current_setting('transaction_isolation')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
    END IF;
    PERFORM audit._lock_person(subject);
    at := clock_timestamp();
    SELECT count(*) - most + 1 INTO excess
    FROM audit.user_sessions s
    WHERE s.subject = _make_room.subject AND s.terminated_at IS NULL
      AND audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) > at;
    IF excess <= 0 THEN
        RETURN;
    ELSIF policy = 'reject_new' THEN
        RAISE EXCEPTION 'audit_guard.session_limit reached: % for each person',
                        CASE most WHEN 1 THEN '1 session' ELSE most || ' sessions' END
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = 'SELECT audit.terminate_all_sessions(subject => ''...'');';
    END IF;
    FOR candidate IN
        SELECT s.id
        FROM audit.user_sessions s
        WHERE s.subject = _make_room.subject AND s.terminated_at IS NULL
          AND audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) > at
        ORDER BY CASE policy WHEN 'end_oldest' THEN s.created_at ELSE s.last_active_at END, s.created_at, s.id
        LIMIT excess
    LOOP
        PERFORM audit._end_session(candidate, 'replaced');
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._make_room(text) IS
    'internal: keeps audit_guard.session_limit when a person begins a session';

-- A day is enough: nobody can be so far away that it takes longer. Distance on a sphere of 6,371 km.
CREATE FUNCTION audit._impossible_travel(subject text, latitude numeric, longitude numeric, at timestamptz)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    least_distance constant float8 := 100;
    greatest_speed constant float8 := 900;
    other record;
    distance float8;
    hours float8;
BEGIN
    IF latitude IS NULL OR longitude IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT s.id, s.created_at, s.latitude::float8 AS north, s.longitude::float8 AS east INTO other
    FROM audit.user_sessions s
    WHERE s.subject = _impossible_travel.subject AND s.created_at > at - interval '24 hours'
      AND s.latitude IS NOT NULL AND s.longitude IS NOT NULL
    ORDER BY s.created_at DESC
    LIMIT 1;
    IF other.id IS NULL THEN
        RETURN NULL;
    END IF;
    distance := 12742 * asin(sqrt(least(1,
        sind((latitude - other.north) / 2) ^ 2
        + cosd(latitude) * cosd(other.north) * sind((longitude - other.east) / 2) ^ 2)));
    hours := greatest(extract(epoch FROM at - other.created_at) / 3600, 0);
    IF distance <= least_distance OR distance <= greatest_speed * hours THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('kind', 'impossible_travel', 'other_session', other.id,
                              'kilometres', round(distance), 'minutes', round(hours * 60));
END
$body$;
COMMENT ON FUNCTION audit._impossible_travel(text, numeric, numeric, timestamptz) IS
    'internal: what to note when the person was elsewhere too short a time ago; null when there is nothing';
