-- Purpose: answers whether a session is alive, and notes that it was used.
-- Who may call: audit_writer.
-- Relies on: 77_user_sessions.sql, 78_session_limits.sql; when they are called, on 78_sessions.sql.

-- One event for each session and reason: the reason stays on the session, whose lock decides who writes it.
CREATE FUNCTION audit._flag_session(session_id uuid, reason text, ip_address inet) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    session audit.user_sessions;
BEGIN
    UPDATE audit.user_sessions s
    SET is_suspicious = true, suspicious_reason = concat_ws(', ', s.suspicious_reason, reason)
    WHERE s.id = session_id AND s.terminated_at IS NULL
      AND reason <> ALL (string_to_array(coalesce(s.suspicious_reason, ''), ', '))
    RETURNING s.* INTO session;
    IF session.id IS NOT NULL THEN
        PERFORM audit._session_event(
            session, 'suspicious_activity',
            CASE reason WHEN 'device_changed' THEN 'a session is used by another device'
                        ELSE 'a session is used from another network' END,
            jsonb_build_object('kind', reason), ip_address => _flag_session.ip_address);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._flag_session(uuid, text, inet) IS
    'internal: marks a session as suspicious for a reason, and writes the event of it, once';

-- Another address of the same network is no change: providers hand them out again and again. Nor is what the
-- mark on the session says already, even if somebody has cleared the mark since.
CREATE FUNCTION audit._session_changes(
    old_address inet, new_address inet, old_fingerprint text, new_fingerprint text, known text,
    on_change text)
RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    changes text[] := '{}';
BEGIN
    IF left(nullif(new_fingerprint, ''), 500) <> old_fingerprint THEN
        changes := changes || 'device_changed'::text;
    END IF;
    IF new_address IS NOT NULL AND audit._login_network(new_address) <> audit._login_network(old_address) THEN
        changes := changes || 'address_changed'::text;
    END IF;
    RETURN CASE on_change
        WHEN 'terminate' THEN changes
        WHEN 'flag' THEN ARRAY(SELECT c.change FROM unnest(changes) c(change)
                               WHERE c.change <> ALL (string_to_array(coalesce(known, ''), ', ')))
        ELSE '{}' END;
END
$body$;
COMMENT ON FUNCTION audit._session_changes(inet, inet, text, text, text, text) IS
    'internal: what has changed since a session began, and has to be noted: device_changed, address_changed';

CREATE FUNCTION audit._renew_session(
    session_id uuid, changes text[], on_change text, ip_address inet, touch_before timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    reason text;
BEGIN
    -- That a session is in use is not logged.
    IF changes <> '{}' THEN
        PERFORM audit._prepare_sessions();
    END IF;
    IF on_change = 'terminate' AND changes <> '{}' THEN
        PERFORM audit._end_session(session_id, 'security', jsonb_build_object('kind', changes[1]),
                                   ip_address);
        RETURN;
    END IF;
    FOREACH reason IN ARRAY changes LOOP
        PERFORM audit._flag_session(session_id, reason, ip_address);
    END LOOP;
    -- Somebody else's lock is not waited for: who holds it notes the same, or ends the session.
    UPDATE audit.user_sessions s SET last_active_at = clock_timestamp()
    WHERE s.id = (SELECT l.id FROM audit.user_sessions l
                  WHERE l.id = session_id AND l.terminated_at IS NULL AND l.last_active_at <= touch_before
                  FOR UPDATE SKIP LOCKED);
END
$body$;
COMMENT ON FUNCTION audit._renew_session(uuid, text[], text, inet, timestamptz) IS
    'internal: writes what validate_session has found out about a session that is alive';

-- What has to be written is written, and then the row is read again: a session that was ended meanwhile must
-- not be called alive. A standby decides the same without writing.
CREATE FUNCTION audit._judge_session(
    session_id uuid, ip_address inet, device_fingerprint text, token_hash bytea)
RETURNS audit.session_status
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    at constant timestamptz := clock_timestamp();
    session record;
    result audit.session_status;
    ends_at timestamptz;
    touch_before timestamptz;
    changes text[];
    on_change text;
    has_written boolean := false;
BEGIN
    result.session_id := session_id;
    LOOP
        SELECT s.subject, s.user_id, s.token_hash, s.device_fingerprint, s.ip_address, s.idle_timeout,
               s.expires_at, s.last_active_at, s.terminated_at, s.termination_reason, s.suspicious_reason,
               s.is_suspicious
        INTO session
        FROM audit.user_sessions s
        WHERE s.id = _judge_session.session_id;
        IF session.subject IS NULL
           OR token_hash IS NOT NULL AND token_hash IS DISTINCT FROM session.token_hash THEN
            result.status := 'unknown';
            result.reason := CASE WHEN session.subject IS NOT NULL THEN 'token' END;
            RETURN result;
        END IF;
        result.user_id := session.user_id;
        result.subject := session.subject;
        result.idle_expires_at := session.last_active_at
                                  + make_interval(secs => extract(epoch FROM session.idle_timeout)::float8);
        result.expires_at := session.expires_at;
        ends_at := least(result.idle_expires_at, session.expires_at);

        -- What ran out is called the same before and after expire_sessions() has come by.
        IF session.terminated_at IS NOT NULL
           AND (session.termination_reason IS DISTINCT FROM 'expired' OR session.terminated_at < ends_at) THEN
            result.status := 'terminated';
            result.reason := session.termination_reason;
            RETURN result;
        ELSIF session.terminated_at IS NOT NULL OR ends_at <= at THEN
            result.status := CASE WHEN ends_at < session.expires_at THEN 'idle_expired'
                                  ELSE 'absolute_expired' END;
            RETURN result;
        END IF;

        changes := '{}';
        IF ip_address <> session.ip_address OR device_fingerprint <> session.device_fingerprint THEN
            on_change := current_setting('audit_guard.session_on_change');
            changes := audit._session_changes(session.ip_address, ip_address, session.device_fingerprint,
                                              device_fingerprint, session.suspicious_reason, on_change);
        END IF;
        -- A session that may be idle for a short time only is touched more often, lest it runs out in use.
        touch_before := at - least(audit._touch_interval(), session.idle_timeout / 10);
        IF (session.last_active_at <= touch_before OR changes <> '{}')
           AND NOT has_written AND NOT current_setting('transaction_read_only')::boolean THEN
            PERFORM audit._renew_session(session_id, changes, on_change, ip_address, touch_before);
            has_written := true;
            CONTINUE;
        END IF;

        IF changes <> '{}' AND on_change = 'terminate' THEN
            result.status := 'terminated';
            result.reason := 'security';
        ELSIF changes <> '{}' OR session.is_suspicious THEN
            result.status := 'suspicious';
            result.reason := array_to_string(session.suspicious_reason || changes, ', ');
        ELSE
            result.status := 'active';
        END IF;
        RETURN result;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._judge_session(uuid, inet, text, bytea) IS
    'internal: validate_session for everything that is not as usual';

-- As usual: alive, not suspicious, from the same place, noted a short time ago. One query answers that.
CREATE FUNCTION audit.validate_session(
    session_id uuid, ip_address inet DEFAULT NULL, device_fingerprint text DEFAULT NULL,
    token_hash bytea DEFAULT NULL)
RETURNS audit.session_status
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    result audit.session_status;
BEGIN
    SELECT 'active', s.id, s.user_id, s.subject, NULL,
           s.last_active_at + make_interval(secs => extract(epoch FROM s.idle_timeout)::float8), s.expires_at
    INTO result
    FROM audit.user_sessions s
    WHERE s.id = validate_session.session_id
      AND s.terminated_at IS NULL
      AND NOT s.is_suspicious
      AND s.expires_at > clock_timestamp()
      AND s.last_active_at > clock_timestamp() - least(audit._touch_interval(), s.idle_timeout / 10)
      AND (validate_session.token_hash IS NULL OR s.token_hash = validate_session.token_hash)
      AND coalesce(s.device_fingerprint = validate_session.device_fingerprint, true)
      AND (coalesce(s.ip_address = validate_session.ip_address, true)
           OR audit._login_network(s.ip_address) = audit._login_network(validate_session.ip_address));
    IF FOUND THEN
        RETURN result;
    END IF;
    RETURN audit._judge_session(session_id, ip_address, device_fingerprint, token_hash);
END
$body$;
COMMENT ON FUNCTION audit.validate_session(uuid, inet, text, bytea) IS
    'says whether a session is alive, and notes that it is in use, at most once in '
    'audit_guard.session_touch_interval; when the token is not its own, it is unknown; another network or '
    'device than at its beginning is handled as audit_guard.session_on_change says';

CREATE FUNCTION audit.update_session_activity(session_id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (audit.validate_session(session_id)).status IN ('active', 'suspicious');
END
$body$;
COMMENT ON FUNCTION audit.update_session_activity(uuid) IS
    'notes that a session is in use, as audit.validate_session() does; true: it is alive';
