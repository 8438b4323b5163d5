-- Purpose: writes security events.
-- Who may call: audit_writer logs; functions with an underscore are internal.
-- Relies on: 77_security_events.sql; when they are called, on 76_security_native.sql and on what counts
-- logins.

-- The only way into the table. Persons and tenants are indexed, so they have an end.
CREATE FUNCTION audit._write_event(
    event_type audit.security_event_type, description text, subject text, user_id uuid, session_id uuid,
    tenant_id text, email text, ip_address inet, user_agent text, entity_type text, entity_id text,
    metadata jsonb, severity text DEFAULT NULL, at timestamptz DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    event_id constant uuid := audit._event_id();
BEGIN
    IF NOT audit._has_leaves('audit.security_events') THEN
        PERFORM audit._prepare_security_events();
    END IF;
    INSERT INTO audit.security_events
        (id, logged_at, event_type, severity, outcome, description, subject, user_id, tenant_id, session_id,
         email, ip_address, user_agent, entity_type, entity_id, metadata, actor_role, login_role,
         transaction_id)
    VALUES
        (event_id, coalesce(at, clock_timestamp()), event_type,
         coalesce(severity, CASE
             WHEN event_type IN ('login_failed', 'access_blocked', 'permission_denied', 'mfa_disabled',
                                 'suspicious_activity') THEN 'warning'
             WHEN event_type = 'blacklist_hit' THEN 'critical'
             ELSE 'info' END),
         CASE WHEN event_type = 'login_failed' THEN 'failure'
              WHEN event_type IN ('access_blocked', 'blacklist_hit', 'permission_denied') THEN 'denied'
              ELSE 'success' END,
         coalesce(description, replace(event_type::text, '_', ' ')), left(subject, 500), user_id,
         left(tenant_id, 500), session_id, left(email, 320), ip_address, left(user_agent, 1000), entity_type,
         entity_id, coalesce(metadata, '{}'), who.actor_role, who.login_role,
         pg_current_xact_id()::text::bigint);
    RETURN event_id;
END
$body$;
COMMENT ON FUNCTION audit._write_event(
    audit.security_event_type, text, text, uuid, uuid, text, text, inet, text, text, text, jsonb, text,
    timestamptz) IS
    'internal: writes one row of security_events and returns its id; severity and description are those of the '
    'type when they are null, at is the clock';

-- Who acts is nobody when somebody logs in, so only of other events is it the person whom they are about. The
-- callers wait for it: each call of another function would cost a tenth of the whole.
CREATE FUNCTION audit.log_security_event(
    event_type audit.security_event_type, description text DEFAULT NULL, user_id uuid DEFAULT NULL,
    session_id uuid DEFAULT NULL, metadata jsonb DEFAULT '{}', severity text DEFAULT NULL,
    tenant_id text DEFAULT NULL, entity_type text DEFAULT NULL, entity_id text DEFAULT NULL,
    email text DEFAULT NULL, ip_address inet DEFAULT NULL, user_agent text DEFAULT NULL,
    subject text DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.log_security_event(''data_export'', ''why'');';
    who constant audit.request_context := audit.current_context();
    at constant timestamptz := clock_timestamp();
    event_id uuid;
    -- An assignment, which nobody reads, costs less than PERFORM.
    is_noted boolean;
BEGIN
    IF event_type IS NULL THEN
        RAISE EXCEPTION 'event_type must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF severity NOT IN ('info', 'warning', 'critical') THEN
        RAISE EXCEPTION 'severity must be info, warning or critical'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF jsonb_typeof(metadata) <> 'object' THEN
        RAISE EXCEPTION 'metadata must be a JSON object'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF metadata ? 'audit_guard' THEN
        RAISE EXCEPTION 'the key "audit_guard" of metadata is for audit_guard itself'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF subject IS NULL AND user_id IS NULL
          AND event_type NOT IN ('login_success', 'login_failed', 'access_blocked', 'blacklist_hit') THEN
        subject := who.actor_id;
    END IF;
    IF subject IS NOT NULL THEN
        SELECT p.subject, p.user_id INTO subject, user_id FROM audit._same_person(subject, user_id) p;
    END IF;
    email := coalesce(email, metadata ->> 'email');
    ip_address := coalesce(ip_address, audit._request_ip());
    event_id := audit._write_event(
        event_type, description, coalesce(subject, user_id::text), user_id,
        coalesce(session_id, who.session_id), coalesce(tenant_id, who.tenant_id), email, ip_address,
        coalesce(user_agent, who.context ->> 'user_agent'), entity_type, entity_id, metadata, severity, at);
    IF event_type = 'login_failed' THEN
        is_noted := audit._count_failure(email, ip_address, at, metadata ->> 'device_fingerprint');
    ELSIF event_type = 'login_success' THEN
        is_noted := audit._count_success(email, ip_address, metadata ->> 'device_fingerprint', at);
    END IF;
    RETURN event_id;
END
$body$;
COMMENT ON FUNCTION audit.log_security_event(
    audit.security_event_type, text, uuid, uuid, jsonb, text, text, text, text, text, inet, text, text) IS
    'logs a security event and returns its id; what is not given is taken from the request: person, session, '
    'tenant, address, program, and email from metadata; login_failed and login_success also count for the '
    'limits of logins';
