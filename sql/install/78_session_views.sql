-- Purpose: sessions for people: what is open, what somebody should look at, who is signed in.
-- Who may call: audit_reader; row security of user_sessions decides what anybody else sees.
-- Relies on: 77_user_sessions.sql.

CREATE VIEW audit.active_sessions WITH (security_invoker = true) AS
SELECT s.id,
       s.subject,
       s.user_id,
       s.tenant_id,
       s.auth_session_id,
       s.device_type,
       s.device_model,
       s.browser,
       s.os,
       s.ip_address,
       s.country,
       s.region,
       s.city,
       s.created_at,
       s.last_active_at,
       audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) AS ends_at,
       s.profile,
       s.is_suspicious,
       s.suspicious_reason,
       s.app_version
FROM audit.user_sessions s
WHERE s.terminated_at IS NULL
  AND audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) > statement_timestamp();
COMMENT ON VIEW audit.active_sessions IS 'the sessions that are alive';

CREATE VIEW audit.suspicious_sessions WITH (security_invoker = true) AS
SELECT s.id,
       s.subject,
       s.user_id,
       s.tenant_id,
       s.suspicious_reason,
       s.terminated_at IS NULL
           AND audit._session_ends(s.last_active_at, s.idle_timeout, s.expires_at) > statement_timestamp()
           AS is_active,
       s.device_type,
       s.device_model,
       s.browser,
       s.os,
       s.device_fingerprint,
       s.user_agent,
       s.ip_address,
       s.country,
       s.region,
       s.city,
       s.latitude,
       s.longitude,
       s.created_at,
       s.last_active_at,
       s.terminated_at,
       s.termination_reason
FROM audit.user_sessions s
WHERE s.is_suspicious;
COMMENT ON VIEW audit.suspicious_sessions IS 'the sessions that somebody should look at, alive or not';

CREATE VIEW audit.sessions_by_user WITH (security_invoker = true) AS
SELECT s.subject,
       s.user_id,
       count(*) AS sessions,
       count(*) FILTER (WHERE s.is_suspicious) AS suspicious_sessions,
       count(DISTINCT s.ip_address) AS addresses,
       array_agg(DISTINCT s.device_type ORDER BY s.device_type) AS device_types,
       min(s.created_at) AS signed_in_since,
       max(s.last_active_at) AS last_active_at
FROM audit.active_sessions s
GROUP BY s.subject, s.user_id;
COMMENT ON VIEW audit.sessions_by_user IS 'who is signed in, with how many sessions';

DO $comments$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT c.oid::regclass AS of_view, a.attname AS column_name,
               coalesce(v.description, col_description(t.attrelid, t.attnum)) AS description
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attribute t ON t.attrelid = 'audit.user_sessions'::regclass AND t.attname = a.attname
        LEFT JOIN (VALUES
            ('active_sessions', 'ends_at', 'when it ends unless it is used before'),
            ('suspicious_sessions', 'is_active', 'whether it is alive'),
            ('sessions_by_user', 'sessions', 'sessions of the person that are alive'),
            ('sessions_by_user', 'suspicious_sessions', 'those of them that somebody should look at'),
            ('sessions_by_user', 'addresses', 'addresses that they were begun from'),
            ('sessions_by_user', 'device_types', 'kinds of device that they were begun with'),
            ('sessions_by_user', 'signed_in_since', 'when the oldest of them began'),
            ('sessions_by_user', 'last_active_at', 'when the last of them was used')
        ) v(of_view, column_name, description) ON v.of_view = c.relname AND v.column_name = a.attname
        WHERE c.relnamespace = 'audit'::regnamespace
          AND c.relname IN ('active_sessions', 'suspicious_sessions', 'sessions_by_user')
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', described.of_view, described.column_name,
                       described.description);
    END LOOP;
END
$comments$;
