"""A product with tables and functions of its own moves, as docs/moving.md tells, and its code runs on."""

import json

import psycopg
import pytest

from guide import ADA, HERE, THERE, block, failures, own_database

# Tables, type and functions as the colony application has them, with little in them.
FORMER = """
CREATE TYPE security_event_type AS ENUM (
    'login_success', 'login_failed', 'logout', 'password_changed', 'mfa_enabled', 'mfa_disabled',
    'session_terminated', 'access_blocked', 'blacklist_hit', 'suspicious_activity', 'permission_denied',
    'data_export');
CREATE TABLE user_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, auth_session_id text,
    device_fingerprint text, device_id text, device_type text, device_model text, browser text,
    browser_version text, os text, os_version text, screen_resolution text, ip_address inet NOT NULL,
    country text, region text, city text, latitude numeric(10,7), longitude numeric(10,7),
    created_at timestamptz NOT NULL DEFAULT now(), last_active_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz, terminated_at timestamptz, termination_reason text,
    is_suspicious boolean NOT NULL DEFAULT false, suspicious_reason text, app_version text);
CREATE TABLE security_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), community_id uuid, event_type security_event_type NOT NULL,
    user_id uuid, session_id uuid REFERENCES user_sessions, description text NOT NULL,
    metadata jsonb DEFAULT '{}', ip_address inet, user_agent text, entity_type text, entity_id uuid,
    severity text NOT NULL DEFAULT 'info', logged_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION create_user_session(p_user_id uuid, p_ip_address inet, p_device_info jsonb DEFAULT '{}')
    RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE FUNCTION update_session_activity(p_session_id uuid) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION terminate_session(p_session_id uuid, p_reason text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION log_security_event(
    p_event_type security_event_type, p_description text, p_user_id uuid DEFAULT NULL,
    p_session_id uuid DEFAULT NULL, p_metadata jsonb DEFAULT '{}', p_severity text DEFAULT 'info',
    p_community_id uuid DEFAULT NULL, p_entity_type text DEFAULT NULL, p_entity_id uuid DEFAULT NULL)
    RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE FUNCTION should_block_login(
    p_email text, p_ip_address inet, p_max_attempts int DEFAULT 5, p_window_minutes int DEFAULT 15)
    RETURNS boolean LANGUAGE sql AS 'SELECT false';
INSERT INTO user_sessions (user_id, ip_address, browser, last_active_at)
    VALUES ('3919cb6e-4215-4478-a960-6d3454326cec', '203.0.113.9', 'Firefox', now() - interval '1 minute');
INSERT INTO security_events (event_type, description, ip_address, metadata, severity, logged_at)
    SELECT 'login_failed', 'Wrong password', '203.0.113.9', '{"email": "ada@example.org"}', 'warning',
           now() - n * interval '1 minute' FROM generate_series(1, 4) n;
INSERT INTO security_events (event_type, description, user_id, community_id, logged_at)
    VALUES ('data_export', 'all residents', '3919cb6e-4215-4478-a960-6d3454326cec',
            '00000000-0000-4000-8000-000000000007', now() - interval '2 years');
"""


@pytest.fixture
def database(cluster, supabase, request):
    yield from own_database(cluster, supabase, request)


def test_a_product_moves_and_its_code_runs_on(cluster, database, admin):
    admin.execute(FORMER)
    admin.execute(block("moving.md", "sql", "ALTER TABLE public.user_sessions RENAME"))
    assert admin.execute("SELECT audit.rebuild_login_counters() > 0 AS some").fetchone()["some"]
    assert failures(admin, "ada@example.org") == (4, 4)
    admin.execute("GRANT audit_writer, audit_reader TO app")
    with cluster.connect(database, "app", autocommit=True) as app:

        def ask(sql, *given):
            return app.execute(sql, given).fetchone()[0]

        assert ask("SELECT count(*) FROM security_events WHERE logged_at < '2026-01-01'") == 1
        community = ask("SELECT community_id::text FROM security_events WHERE event_type = 'data_export'")
        assert community.endswith("7")
        (old,) = app.execute("SELECT id FROM user_sessions WHERE browser = 'Firefox'").fetchone()
        app.execute("SELECT update_session_activity(%s)", [old])
        app.execute("SELECT terminate_session(p_session_id => %s, p_reason => 'admin_revoke')", [old])
        session = ask(
            "SELECT create_user_session(p_user_id => %s, p_ip_address => %s, p_device_info => %s)",
            ADA,
            HERE,
            json.dumps({"device_type": "desktop", "browser": "Chrome"}),
        )
        assert ask("SELECT browser FROM user_sessions WHERE id = %s", session) == "Chrome"
        assert not ask("SELECT should_block_login(p_email => 'ada@example.org', p_ip_address => %s)", HERE)
        event = ask(
            "SELECT log_security_event(p_event_type => 'login_failed', p_description => 'Wrong password', "
            "p_metadata => %s, p_severity => 'warning')",
            json.dumps({"email": "ada@example.org"}),
        )
        assert ask("SELECT severity FROM security_events WHERE id = %s", event) == "warning"
        assert ask("SELECT should_block_login('ada@example.org', %s::inet)", HERE)
        assert not ask("SELECT should_block_login('ada@example.org', %s::inet, 6)", THERE)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            app.execute("SELECT should_block_login('ada@example.org', NULL, 0)")
