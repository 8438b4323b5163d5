-- Security events and sessions that the colony application recorded, taken over after its tables were renamed.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL intervalstyle = 'postgres';
CREATE SCHEMA old AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA old, t TO PUBLIC;
SET LOCAL ROLE regress_owner;
CREATE TYPE old.security_event_type AS ENUM ('login_success', 'login_failed', 'logout', 'password_changed',
    'mfa_enabled', 'mfa_disabled', 'session_terminated', 'access_blocked', 'blacklist_hit',
    'suspicious_activity', 'permission_denied', 'data_export', 'coffee');
CREATE TABLE old.user_sessions_old (id uuid PRIMARY KEY, user_id uuid NOT NULL, auth_session_id text,
    device_fingerprint text, device_id text, device_type text, device_model text, browser text,
    browser_version text, os text, os_version text, screen_resolution text, ip_address inet NOT NULL,
    country text, region text, city text, latitude numeric(10,7), longitude numeric(10,7),
    created_at timestamptz NOT NULL, last_active_at timestamptz NOT NULL, expires_at timestamptz,
    terminated_at timestamptz, termination_reason text, is_suspicious boolean NOT NULL DEFAULT false,
    suspicious_reason text, app_version text);
CREATE TABLE old.security_events_old (id uuid PRIMARY KEY, community_id uuid,
    event_type old.security_event_type NOT NULL, user_id uuid, session_id uuid, description text NOT NULL,
    metadata jsonb DEFAULT '{}', ip_address inet, user_agent text, entity_type text, entity_id uuid,
    severity text NOT NULL DEFAULT 'info', logged_at timestamptz NOT NULL);
INSERT INTO old.security_events_old VALUES
    ('01900000-0000-7000-8000-000000000001', '22222222-2222-4222-8222-222222222222', 'login_success',
     'AAAAAAAA-1111-4111-8111-111111111111', '33333333-3333-4333-8333-333333333333', 'in',
     '{"email": "Ada@example.org"}', '192.0.2.1', 'curl/8', 'unit',
     '44444444-4444-4444-8444-444444444444', 'info', '2024-02-01 10:00'),
    ('01900000-0000-7000-8000-000000000002', NULL, 'login_failed', NULL, NULL, 'no', NULL, NULL, NULL, NULL, NULL,
     'warning', now() - interval '2 minutes'),
    ('01900000-0000-7000-8000-000000000003', NULL, 'permission_denied', NULL, NULL, 'no', '["x"]', NULL,
     NULL, NULL,
     NULL, 'critical', '2024-03-01'),
    ('01900000-0000-7000-8000-000000000004', NULL, 'coffee', NULL, NULL, 'hot', '{}', NULL, NULL, NULL, NULL,
     'info', '2024-03-01'),
    ('01900000-0000-7000-8000-000000000005', NULL, 'logout', NULL, NULL, 'later', '{}', NULL, NULL, NULL, NULL,
     'info', 'infinity'),
    ('01900000-0000-7000-8000-000000000006', NULL, 'logout', NULL, NULL, 'tomorrow', '{}', NULL, NULL, NULL, NULL,
     'info', now() + interval '1 day'),
    ('01900000-0000-7000-8000-000000000007', NULL, 'logout', NULL, NULL, 'loud', '{}', NULL, NULL, NULL, NULL,
     'loud', '2024-03-01');
SELECT * FROM audit.import_history('old.security_events_old', 'colony', since => '2024-02-15');
SELECT * FROM audit.import_history('old.security_events_old', 'colony');
SELECT * FROM audit.import_history('old.security_events_old', 'colony');
RESET ROLE;
SELECT right(id::text, 1) AS id, CASE WHEN logged_at < '2025-01-01' THEN logged_at END AS logged_at, event_type,
       severity, outcome, description, subject, user_id, tenant_id, session_id, email, ip_address, user_agent,
       entity_type, entity_id, metadata, actor_role, login_role
    FROM audit.security_events WHERE metadata -> 'audit_guard' ->> 'imported_from' = 'colony'
    ORDER BY security_events.id;
SELECT tableoid::regclass::text FROM audit.security_events WHERE logged_at < '2025-01-01' ORDER BY 1;
-- sessions: over, over by now, alive, and some that cannot be
SET LOCAL ROLE regress_owner;
INSERT INTO old.user_sessions_old (id, user_id, ip_address, device_type, device_fingerprint, created_at,
    last_active_at, expires_at, terminated_at, termination_reason, is_suspicious, suspicious_reason,
     latitude, longitude)
SELECT ('55555555-5555-4555-8555-55555555555' || n)::uuid, 'AAAAAAAA-1111-4111-8111-111111111111', '192.0.2.1',
    kind, 'fp', now() - begun, now() - used, now() + expires, now() - ended, reason, n = 1,
    CASE WHEN n = 1 THEN 'odd' END, place, place
FROM (VALUES (1, 'mobile', interval '3 days', interval '2 days', NULL::interval, interval '2 days',
     'admin_revoke', 12.5),
    (2, 'toaster', '3 days', '2 days', NULL, NULL, NULL, NULL),
    (3, NULL, '20 minutes', '10 minutes', NULL, NULL, NULL, 33),
    (4, 'desktop', '20 minutes', '10 minutes', '5 hours', NULL, NULL, NULL),
    (5, 'desktop', '20 minutes', '10 minutes', '-5 minutes', NULL, NULL, NULL),
    (6, 'tablet', '20 minutes', '10 minutes', NULL, NULL, NULL, 91),
    (7, 'tablet', '20 minutes', '10 minutes', NULL, '1 minute', 'bored', NULL)
    ) v(n, kind, begun, used, expires, ended, reason, place);
SELECT * FROM audit.import_history('old.user_sessions_old', 'colony');
SELECT * FROM audit.import_history('old.user_sessions_old', 'colony');
RESET ROLE;
SELECT right(id::text, 1) AS id, subject, user_id, device_type, device_fingerprint, profile, idle_timeout,
       expires_at - created_at AS lifetime, now() - last_active_at AS idle_for, now() - terminated_at AS ended_ago,
       termination_reason, is_suspicious, suspicious_reason, latitude, token_hash
    FROM audit.user_sessions WHERE id::text LIKE '55555555%' ORDER BY 1;
SELECT count(*) AS ended_today FROM audit.security_events WHERE event_type = 'session_terminated'
    AND subject = 'aaaaaaaa-1111-4111-8111-111111111111';
-- and the application goes on with them
SELECT status, reason FROM audit.validate_session('55555555-5555-4555-8555-555555555553');
SELECT status, reason FROM audit.validate_session('55555555-5555-4555-8555-555555555552');
SELECT object, detail - 'covers_from' - 'covers_until' AS detail FROM audit.guard_events
    WHERE kind = 'history_imported' AND object ~ 'security_events|user_sessions' ORDER BY id;
-- refusals
SET LOCAL ROLE regress_owner;
CREATE VIEW old.a_view AS SELECT * FROM old.security_events_old;
:try ($$SELECT * FROM audit.import_history('old.a_view', 'colony')$$) f;
DROP VIEW old.a_view;
ALTER TABLE old.security_events_old ALTER description TYPE varchar;
:try ($$SELECT * FROM audit.import_history('old.security_events_old', 'colony')$$) f;
:try ($$SELECT * FROM audit.import_history('old.user_sessions_old', 'supa_audit')$$) f;
:try ($$SELECT audit._import_events('{}')$$) f;
RESET ROLE;
CREATE TABLE old.user_sessions_new AS TABLE old.user_sessions_old;
SET LOCAL ROLE regress_owner;
:try ($$SELECT * FROM audit.import_history('old.user_sessions_new', 'colony')$$) f;
SET LOCAL ROLE regress_reader;
:try ($$SELECT * FROM audit.import_history('old.user_sessions_old', 'colony')$$) f;
:try ($$SELECT audit._import_sessions('{}')$$) f;
RESET ROLE;
ROLLBACK;
-- nobody hands in rows for which nothing was announced
SET ROLE regress_admin;
:try ($$SELECT audit._import_events('{}')$$) f;
:try ($$SELECT audit._import_sessions(ARRAY[NULL]::audit.user_sessions[])$$) f;
RESET ROLE;
