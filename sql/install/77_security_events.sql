-- Purpose: security events: logins, sessions, refusals, and whatever an application reports as such.
-- Who may call: audit_reader reads, and people by audit.has_role(); only functions of ours write.
-- Relies on: 40_partitions.sql, 68_ledger_streams.sql, 76_people.sql.

CREATE TYPE audit.security_event_type AS ENUM (
    'login_success', 'login_failed', 'logout', 'password_changed', 'mfa_enabled', 'mfa_disabled',
    'session_terminated', 'access_blocked', 'blacklist_hit', 'suspicious_activity', 'permission_denied',
    'data_export');
COMMENT ON TYPE audit.security_event_type IS 'what a security event is about';

CREATE SEQUENCE audit.security_events_number_seq AS bigint;
COMMENT ON SEQUENCE audit.security_events_number_seq IS 'numbers the rows of security_events';

-- As audit_log: no key and no index on the parent. What can be erased may be null, but only in a row that
-- carries a redaction.
CREATE TABLE audit.security_events (
    id uuid NOT NULL DEFAULT audit._event_id(),
    logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_type audit.security_event_type NOT NULL,
    severity text COLLATE "C" NOT NULL DEFAULT 'info',
    outcome text COLLATE "C" NOT NULL DEFAULT 'success',
    description text COLLATE "C",
    subject text COLLATE "C",
    user_id uuid,
    tenant_id text COLLATE "C",
    session_id uuid,
    email text COLLATE "C",
    ip_address inet,
    user_agent text COLLATE "C",
    entity_type text COLLATE "C",
    entity_id text COLLATE "C",
    metadata jsonb DEFAULT '{}',
    actor_role text COLLATE "C" NOT NULL,
    login_role text COLLATE "C" NOT NULL,
    number bigint NOT NULL DEFAULT nextval('audit.security_events_number_seq'),
    transaction_id bigint NOT NULL,
    salt uuid DEFAULT gen_random_uuid(),
    redaction bytea,
    -- Lists as one constant: the server reads the conditions anew for every row.
    CONSTRAINT security_events_severity CHECK (severity = ANY ('{info,warning,critical}')),
    CONSTRAINT security_events_outcome CHECK (outcome = ANY ('{success,failure,denied}')),
    CONSTRAINT security_events_time CHECK (isfinite(logged_at)),
    CONSTRAINT security_events_content CHECK (
        redaction IS NOT NULL OR (description IS NOT NULL AND metadata IS NOT NULL))
) PARTITION BY RANGE (logged_at);

COMMENT ON TABLE audit.security_events IS
    'security events: logins, sessions, refusals and what an application reports; append-only, in one '
    'partition per month';
COMMENT ON COLUMN audit.security_events.id IS 'id of the event, in the order of time';
COMMENT ON COLUMN audit.security_events.logged_at IS
    'clock time of the event, which is not the time of its commit';
COMMENT ON COLUMN audit.security_events.event_type IS 'what happened';
COMMENT ON COLUMN audit.security_events.severity IS 'info, warning or critical';
COMMENT ON COLUMN audit.security_events.outcome IS 'success, failure or denied';
COMMENT ON COLUMN audit.security_events.description IS 'what happened, in words';
COMMENT ON COLUMN audit.security_events.subject IS
    'the person that the event is about, as the application names people';
COMMENT ON COLUMN audit.security_events.user_id IS 'the same, when the name is a uuid';
COMMENT ON COLUMN audit.security_events.tenant_id IS 'the tenant that the event belongs to';
COMMENT ON COLUMN audit.security_events.session_id IS 'the session of the application';
COMMENT ON COLUMN audit.security_events.email IS 'the address that somebody logged in with, or tried to';
COMMENT ON COLUMN audit.security_events.ip_address IS 'where the request came from';
COMMENT ON COLUMN audit.security_events.user_agent IS 'the program that sent the request';
COMMENT ON COLUMN audit.security_events.entity_type IS 'kind of the thing that the event is about';
COMMENT ON COLUMN audit.security_events.entity_id IS 'id of that thing';
COMMENT ON COLUMN audit.security_events.metadata IS
    'further facts; what audit_guard needs itself stands under "audit_guard"';
COMMENT ON COLUMN audit.security_events.actor_role IS
    'the role in force; a definer function does not hide it';
COMMENT ON COLUMN audit.security_events.login_role IS 'the role that logged in';
COMMENT ON COLUMN audit.security_events.number IS 'number of the row in the ledger''s stream';
COMMENT ON COLUMN audit.security_events.transaction_id IS 'the transaction that wrote the row (64 bit)';
COMMENT ON COLUMN audit.security_events.salt IS 'random, so that a commitment to this row cannot be guessed';
COMMENT ON COLUMN audit.security_events.redaction IS 'what remains provable of values that were erased';
COMMENT ON CONSTRAINT security_events_severity ON audit.security_events IS 'the severities there are';
COMMENT ON CONSTRAINT security_events_outcome ON audit.security_events IS 'the outcomes there are';
COMMENT ON CONSTRAINT security_events_time ON audit.security_events IS 'infinity belongs to no month';
COMMENT ON CONSTRAINT security_events_content ON audit.security_events IS
    'description and metadata are there, unless something was erased';

SELECT audit._make_append_only('audit.security_events');
SELECT audit._declare_stream(
    7::smallint, 'security_events', 'number', 'logged_at',
    '{description,subject,user_id,session_id,email,ip_address,user_agent,entity_id,metadata}');

ALTER TABLE audit.security_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON audit.security_events FOR SELECT TO audit_reader USING (true);
COMMENT ON POLICY readers ON audit.security_events IS 'members of audit_reader see everything';
-- For whoever was granted SELECT without being a member. In sub-selects, so that it is asked once per query.
CREATE POLICY people ON audit.security_events FOR SELECT TO PUBLIC
    USING ((SELECT audit.has_role('reader'))
           OR ((SELECT audit.has_role('tenant_admin')) AND tenant_id = (SELECT audit._own_tenant())));
COMMENT ON POLICY people ON audit.security_events IS
    'people whose claims make them readers see everything, those who are admins of a tenant its events';

-- Few months, because somebody waits for the event; maintain_partitions() makes the others.
CREATE FUNCTION audit._prepare_security_events() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM audit._maintain_stream('audit.security_events', 'logged_at', 2);
EXCEPTION WHEN serialization_failure THEN
    -- Another session made them after this transaction took its snapshot: they are there all the same.
    IF NOT audit._has_leaves('audit.security_events') THEN
        RAISE;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._prepare_security_events() IS
    'internal: makes the first months of security_events';
