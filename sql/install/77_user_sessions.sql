-- Purpose: the table of sessions, what is said about one, and who sees what of it.
-- Who may call: audit_reader reads, and people by audit.has_role(); only functions of ours write.
-- Relies on: 76_people.sql.

CREATE TYPE audit.session_status AS (
    status text,
    session_id uuid,
    user_id uuid,
    subject text,
    reason text,
    idle_expires_at timestamptz,
    expires_at timestamptz
);
COMMENT ON TYPE audit.session_status IS 'what audit.validate_session() says about a session';
COMMENT ON COLUMN audit.session_status.status IS
    'active, suspicious (alive, but look at reason), idle_expired, absolute_expired, terminated or unknown';
COMMENT ON COLUMN audit.session_status.session_id IS 'the session that was asked about';
COMMENT ON COLUMN audit.session_status.user_id IS 'the same as subject, when that is a uuid';
COMMENT ON COLUMN audit.session_status.subject IS 'whose it is; null when unknown';
COMMENT ON COLUMN audit.session_status.reason IS
    'why it was ended; why it is suspicious (device_changed, address_changed, impossible_travel); token: the '
    'session is there, the token is not its own';
COMMENT ON COLUMN audit.session_status.idle_expires_at IS 'when it ends unless it is used before';
COMMENT ON COLUMN audit.session_status.expires_at IS 'when it ends even if it is used';

-- Seconds and not days: an interval of days would mean another moment in another time zone, and no index may
-- depend on that. plpgsql, because a query keeps its compiled form.
CREATE FUNCTION audit._session_ends(last_active_at timestamptz, idle_timeout interval, expires_at timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN least(expires_at,
                 last_active_at + make_interval(secs => extract(epoch FROM idle_timeout)::float8));
END
$body$;
COMMENT ON FUNCTION audit._session_ends(timestamptz, interval, timestamptz) IS
    'internal: when a session ends by itself';

CREATE TABLE audit.user_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    subject text COLLATE "C" NOT NULL,
    user_id uuid,
    tenant_id text COLLATE "C",
    auth_session_id text COLLATE "C",
    token_hash bytea,
    device_fingerprint text COLLATE "C",
    device_id text COLLATE "C",
    device_type text COLLATE "C" NOT NULL DEFAULT 'unknown',
    device_model text COLLATE "C",
    browser text COLLATE "C",
    browser_version text COLLATE "C",
    os text COLLATE "C",
    os_version text COLLATE "C",
    screen_resolution text COLLATE "C",
    user_agent text COLLATE "C",
    ip_address inet NOT NULL,
    country text COLLATE "C",
    region text COLLATE "C",
    city text COLLATE "C",
    latitude numeric(10,7),
    longitude numeric(10,7),
    profile text COLLATE "C" NOT NULL DEFAULT 'aal2',
    idle_timeout interval NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_active_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    terminated_at timestamptz,
    termination_reason text COLLATE "C",
    is_suspicious boolean NOT NULL DEFAULT false,
    suspicious_reason text COLLATE "C",
    app_version text COLLATE "C",
    CONSTRAINT user_sessions_token_hash CHECK (octet_length(token_hash) = 32),
    CONSTRAINT user_sessions_device_type CHECK (device_type IN ('mobile', 'tablet', 'desktop', 'unknown')),
    CONSTRAINT user_sessions_termination_reason CHECK (
        termination_reason IN ('logout', 'expired', 'admin_revoke', 'security', 'replaced'))
);
COMMENT ON TABLE audit.user_sessions IS
    'sessions of people, from login to end; changed by the functions only, each change is in audit_log';
COMMENT ON COLUMN audit.user_sessions.id IS 'number of the session';
COMMENT ON COLUMN audit.user_sessions.subject IS 'whose it is, as the application names people';
COMMENT ON COLUMN audit.user_sessions.user_id IS 'the same, when it is a uuid';
COMMENT ON COLUMN audit.user_sessions.tenant_id IS 'the tenant that the person works for in it';
COMMENT ON COLUMN audit.user_sessions.auth_session_id IS 'how the application or its login service names it';
COMMENT ON COLUMN audit.user_sessions.token_hash IS
    'SHA-256 of the token that proves it; the token itself is never stored';
COMMENT ON COLUMN audit.user_sessions.device_fingerprint IS
    'what the application computed from features of the device, at most 500 characters';
COMMENT ON COLUMN audit.user_sessions.device_id IS 'how the application names the device';
COMMENT ON COLUMN audit.user_sessions.device_type IS 'mobile, tablet, desktop or unknown';
COMMENT ON COLUMN audit.user_sessions.device_model IS 'the model of the device';
COMMENT ON COLUMN audit.user_sessions.browser IS 'the browser';
COMMENT ON COLUMN audit.user_sessions.browser_version IS 'its version';
COMMENT ON COLUMN audit.user_sessions.os IS 'the operating system';
COMMENT ON COLUMN audit.user_sessions.os_version IS 'its version';
COMMENT ON COLUMN audit.user_sessions.screen_resolution IS 'the size of the screen';
COMMENT ON COLUMN audit.user_sessions.user_agent IS 'how the program that logged in called itself';
COMMENT ON COLUMN audit.user_sessions.ip_address IS 'where the login came from';
COMMENT ON COLUMN audit.user_sessions.country IS 'the country, as the application looked it up';
COMMENT ON COLUMN audit.user_sessions.region IS 'the region, likewise';
COMMENT ON COLUMN audit.user_sessions.city IS 'the city, likewise';
COMMENT ON COLUMN audit.user_sessions.latitude IS 'degrees north, likewise';
COMMENT ON COLUMN audit.user_sessions.longitude IS 'degrees east, likewise';
COMMENT ON COLUMN audit.user_sessions.profile IS 'the rule that gave it its times: aal1, aal2 or aal3';
COMMENT ON COLUMN audit.user_sessions.idle_timeout IS 'how long it lives without being used';
COMMENT ON COLUMN audit.user_sessions.expires_at IS 'when it ends even if it is used';
COMMENT ON COLUMN audit.user_sessions.created_at IS 'when it began';
COMMENT ON COLUMN audit.user_sessions.last_active_at IS
    'when it was last used, to within audit_guard.session_touch_interval';
COMMENT ON COLUMN audit.user_sessions.terminated_at IS 'when it was ended; null: not yet, or it only ran out';
COMMENT ON COLUMN audit.user_sessions.termination_reason IS
    'logout, expired, admin_revoke, security, or replaced (by a newer one, at the limit)';
COMMENT ON COLUMN audit.user_sessions.is_suspicious IS 'whether somebody should look at it';
COMMENT ON COLUMN audit.user_sessions.suspicious_reason IS
    'why: device_changed, address_changed, impossible_travel; several with commas between them';
COMMENT ON COLUMN audit.user_sessions.app_version IS 'the version of the application';
COMMENT ON CONSTRAINT user_sessions_token_hash ON audit.user_sessions IS 'a SHA-256, not a token';
COMMENT ON CONSTRAINT user_sessions_device_type ON audit.user_sessions IS 'the kinds of device there are';
COMMENT ON CONSTRAINT user_sessions_termination_reason ON audit.user_sessions IS 'the reasons there are';

CREATE INDEX user_sessions_active_idx ON audit.user_sessions (subject, last_active_at)
    WHERE terminated_at IS NULL;
CREATE INDEX user_sessions_subject_idx ON audit.user_sessions (subject, created_at);
CREATE INDEX user_sessions_user_idx ON audit.user_sessions (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX user_sessions_tenant_idx ON audit.user_sessions (tenant_id, created_at)
    WHERE tenant_id IS NOT NULL;
CREATE INDEX user_sessions_ip_idx ON audit.user_sessions (ip_address, created_at);
CREATE INDEX user_sessions_fingerprint_idx ON audit.user_sessions (device_fingerprint)
    WHERE device_fingerprint IS NOT NULL;
CREATE INDEX user_sessions_suspicious_idx ON audit.user_sessions (created_at) WHERE is_suspicious;
CREATE INDEX user_sessions_ended_idx ON audit.user_sessions (terminated_at) WHERE terminated_at IS NOT NULL;
CREATE INDEX user_sessions_ends_idx ON audit.user_sessions
    (audit._session_ends(last_active_at, idle_timeout, expires_at)) WHERE terminated_at IS NULL;

ALTER TABLE audit.user_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON audit.user_sessions FOR SELECT TO audit_reader USING (true);
COMMENT ON POLICY readers ON audit.user_sessions IS 'members of audit_reader see everything';
-- For whoever was granted SELECT without being a member. In sub-selects, so that it is asked once per query.
CREATE POLICY people ON audit.user_sessions FOR SELECT TO PUBLIC
    USING (subject = (SELECT audit._person())
           OR (SELECT audit.has_role('reader'))
           OR ((SELECT audit.has_role('tenant_admin')) AND tenant_id = (SELECT audit._own_tenant())));
COMMENT ON POLICY people ON audit.user_sessions IS
    'people see their own sessions, those who are admins of a tenant its sessions, those whose claims make '
    'them readers everything';
