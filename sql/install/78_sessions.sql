-- Purpose: how a session begins, and how changes of sessions are recorded.
-- Who may call: audit_writer; functions with an underscore are internal.
-- Relies on: 77_user_sessions.sql; when they are called, on 50_tracking.sql, 77_security_log.sql and
-- 78_session_limits.sql.

-- Sessions are tracked like a user's table: whatever anybody changes by hand can be seen. CREATE EXTENSION
-- does not make the triggers, because a restore would fire them for every row that it loads; it is over when
-- the next write makes them. Every write that is logged comes here first.
CREATE FUNCTION audit._prepare_sessions() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    target constant regclass := 'audit.user_sessions';
BEGIN
    IF audit._has_triggers(target) THEN
        RETURN;
    END IF;
    LOCK TABLE audit.user_sessions IN SHARE ROW EXCLUSIVE MODE;
    -- While we waited, somebody else may have made them.
    IF audit._has_triggers(target) THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM audit._execute(
            audit._row_trigger_command(
                target, 'audit_user_sessions',
                audit._trigger_arguments(target, '{last_active_at}', '{token_hash}', 'tenant_id', 'full',
                                         false, false))
            || audit._truncate_commands(target));
        PERFORM audit._execute(audit._always_commands(target));
    EXCEPTION WHEN object_in_use THEN
        RAISE EXCEPTION 'sessions are not tracked yet, and cannot be while a query reads them'
            USING ERRCODE = 'object_in_use', HINT = 'Before it: SELECT audit.expire_sessions();';
    END;
    IF NOT audit._has_leaves('audit.audit_log') THEN
        PERFORM audit.maintain_partitions();
    END IF;
    PERFORM audit._record_event(
        'tracking_enabled', target::text, NULL,
        (SELECT audit._tracking_state(t.trigger_id) FROM audit._own_triggers(target) t WHERE t.is_row)
        || jsonb_build_object('was_empty', audit._is_empty(target)));
END
$body$;
COMMENT ON FUNCTION audit._prepare_sessions() IS
    'internal: has changes of sessions tracked from now on, unless they are';

-- People and tenants are indexed, so they have an end; to cut one would make two the same.
CREATE FUNCTION audit._session_person(INOUT subject text, INOUT user_id uuid, retry text)
LANGUAGE plpgsql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    person constant record := audit._same_person(subject, user_id);
BEGIN
    subject := person.subject;
    user_id := person.user_id;
    IF subject IS NULL THEN
        RAISE EXCEPTION 'user_id or subject must be given'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF length(subject) > 500 THEN
        RAISE EXCEPTION 'subject must not be longer than 500 characters'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._session_person(text, uuid, text) IS
    'internal: the person whom a call is about; refuses nobody, and two people';

CREATE FUNCTION audit._session_event(
    session audit.user_sessions, event_type audit.security_event_type, description text, metadata jsonb,
    severity text DEFAULT NULL, ip_address inet DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM audit._write_event(
        event_type, description, session.subject, session.user_id, session.id, session.tenant_id, NULL,
        coalesce(ip_address, session.ip_address), session.user_agent, NULL, NULL, metadata, severity);
END
$body$;
COMMENT ON FUNCTION audit._session_event(
    audit.user_sessions, audit.security_event_type, text, jsonb, text, inet) IS
    'internal: writes a security event about a session; the address is that of its beginning when it is null';

CREATE FUNCTION audit._session_profile(
    INOUT profile text, OUT idle_timeout interval, OUT lifetime interval)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    profile := coalesce(profile, current_setting('audit_guard.session_profile'));
    CASE profile
        WHEN 'aal1' THEN idle_timeout := '720:00:00'; lifetime := '720:00:00';
        WHEN 'aal2' THEN idle_timeout := '01:00:00'; lifetime := '24:00:00';
        WHEN 'aal3' THEN idle_timeout := '00:15:00'; lifetime := '12:00:00';
        ELSE RAISE EXCEPTION 'profile must be aal1, aal2 or aal3'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT audit.create_user_session(..., profile => ''aal2'');';
    END CASE;
END
$body$;
COMMENT ON FUNCTION audit._session_profile(text) IS
    'internal: how long a session may be idle and may last; null: what audit_guard.session_profile says';

-- What a device says about itself is not to be trusted: what is no place on earth is left out.
CREATE FUNCTION audit._degrees(device jsonb, key text, most numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    degrees constant text := device ->> key;
BEGIN
    IF degrees ~ '^-?[0-9]{1,3}(\.[0-9]{1,30})?$' AND abs(degrees::numeric) <= most THEN
        RETURN round(degrees::numeric, 7);
    END IF;
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION audit._degrees(jsonb, text, numeric) IS
    'internal: a latitude or longitude; null when there is none, or none that can be';

CREATE FUNCTION audit.create_user_session(
    user_id uuid DEFAULT NULL, ip_address inet DEFAULT NULL, device_info jsonb DEFAULT '{}',
    subject text DEFAULT NULL, tenant_id text DEFAULT NULL, token_hash bytea DEFAULT NULL,
    profile text DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.create_user_session(subject => ''...'', ip_address => ''...'');';
    device constant jsonb := coalesce(device_info, '{}');
    person constant record := audit._session_person(subject, user_id, retry);
    who constant audit.request_context := audit.current_context();
    tenant constant text := coalesce(tenant_id, who.tenant_id);
    rule record;
    session audit.user_sessions;
    travel jsonb;
BEGIN
    IF ip_address IS NULL THEN
        RAISE EXCEPTION 'ip_address must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF jsonb_typeof(device) <> 'object' THEN
        RAISE EXCEPTION 'device_info must be a JSON object'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT audit.create_user_session(..., device_info => ''{"browser": "..."}'');';
    ELSIF octet_length(token_hash) <> 32 THEN
        RAISE EXCEPTION 'token_hash must be a SHA-256, 32 bytes long'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT audit.create_user_session(..., token_hash => sha256(''...''));';
    ELSIF length(tenant) > 500 THEN
        RAISE EXCEPTION 'tenant_id must not be longer than 500 characters'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    rule := audit._session_profile(profile);
    PERFORM audit._prepare_sessions();
    PERFORM audit._make_room(person.subject);

    session.latitude := audit._degrees(device, 'latitude', 90);
    session.longitude := audit._degrees(device, 'longitude', 180);
    session.created_at := clock_timestamp();
    travel := audit._impossible_travel(person.subject, session.latitude, session.longitude,
                                       session.created_at);
    INSERT INTO audit.user_sessions
        (subject, user_id, tenant_id, auth_session_id, token_hash, device_fingerprint, device_id, device_type,
         device_model, browser, browser_version, os, os_version, screen_resolution, user_agent, ip_address,
         country, region, city, latitude, longitude, profile, idle_timeout, expires_at, created_at,
         last_active_at, is_suspicious, suspicious_reason, app_version)
    VALUES
        (person.subject, person.user_id, tenant, left(device ->> 'auth_session_id', 1000), token_hash,
         left(nullif(device ->> 'device_fingerprint', ''), 500), left(device ->> 'device_id', 1000),
         CASE WHEN device ->> 'device_type' IN ('mobile', 'tablet', 'desktop') THEN device ->> 'device_type'
              ELSE 'unknown' END,
         left(device ->> 'device_model', 1000), left(device ->> 'browser', 1000),
         left(device ->> 'browser_version', 1000), left(device ->> 'os', 1000),
         left(device ->> 'os_version', 1000), left(device ->> 'screen_resolution', 1000),
         left(coalesce(device ->> 'user_agent', who.context ->> 'user_agent'), 1000),
         ip_address,
         left(device ->> 'country', 1000), left(device ->> 'region', 1000), left(device ->> 'city', 1000),
         session.latitude, session.longitude, rule.profile, rule.idle_timeout,
         session.created_at + rule.lifetime, session.created_at, session.created_at,
         travel IS NOT NULL, CASE WHEN travel IS NOT NULL THEN 'impossible_travel' END,
         left(device ->> 'app_version', 1000))
    RETURNING * INTO session;

    -- A device cannot fill the log with what it says about itself.
    PERFORM audit._session_event(
        session, 'login_success', 'session created',
        CASE WHEN octet_length(device::text) <= 8192 THEN device - 'audit_guard' ELSE '{}' END
        || '{"kind": "session_created"}');
    IF travel IS NOT NULL THEN
        PERFORM audit._session_event(session, 'suspicious_activity',
                                     'two sessions of one person are farther apart than anybody travels',
                                     travel);
    END IF;
    RETURN session.id;
END
$body$;
COMMENT ON FUNCTION audit.create_user_session(uuid, inet, jsonb, text, text, bytea, text) IS
    'begins a session and returns its id; user_id or subject, and ip_address, must be given. device_info: '
    'device_type, device_model, browser, browser_version, os, os_version, screen_resolution, '
    'device_fingerprint, device_id, app_version, auth_session_id, user_agent, country, region, city, '
    'latitude, longitude; token_hash: SHA-256 of the session''s token; profile: aal1 (30 days), aal2 (24 '
    'hours, 1 hour idle), aal3 (12 hours, 15 minutes idle), null = audit_guard.session_profile';
