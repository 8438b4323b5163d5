-- What is compared with: failures as rows of one table, counted anew at each check, and a row per heartbeat.
-- The indexes are those that such a table usually has: by time, person, type and severity, none by what the
-- check looks for.

CREATE TYPE plain_event AS ENUM ('login_success', 'login_failed', 'data_export');
CREATE TABLE plain_events (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id   uuid,
    event_type  plain_event NOT NULL,
    user_id     uuid,
    session_id  uuid,
    description text NOT NULL,
    metadata    jsonb DEFAULT '{}',
    ip_address  inet,
    user_agent  text,
    entity_type text,
    entity_id   uuid,
    severity    text NOT NULL DEFAULT 'info' CHECK (severity IN ('info', 'warning', 'critical')),
    logged_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON plain_events USING brin (logged_at);
CREATE INDEX ON plain_events (user_id, logged_at DESC) WHERE user_id IS NOT NULL;
CREATE INDEX ON plain_events (event_type, logged_at DESC);
CREATE INDEX ON plain_events (severity, logged_at DESC) WHERE severity IN ('warning', 'critical');

CREATE FUNCTION plain_check(who text, address inet, most integer DEFAULT 5, minutes integer DEFAULT 15)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    since timestamptz := now() - make_interval(mins => minutes);
BEGIN
    RETURN (SELECT count(*) FROM plain_events
            WHERE event_type = 'login_failed' AND logged_at > since AND metadata ->> 'email' = who) >= most
        OR (SELECT count(*) FROM plain_events
            WHERE event_type = 'login_failed' AND logged_at > since AND ip_address = address) >= 2 * most;
END $$;

CREATE FUNCTION plain_event(kind plain_event, metadata jsonb, address inet, severity text DEFAULT 'info')
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    made uuid;
BEGIN
    INSERT INTO plain_events (event_type, description, metadata, ip_address, severity)
    VALUES (kind, 'made for the benchmark', metadata, address, severity)
    RETURNING id INTO made;
    RETURN made;
END $$;

CREATE TABLE plain_sessions (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id        uuid NOT NULL,
    ip_address     inet NOT NULL,
    device         jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    last_active_at timestamptz NOT NULL DEFAULT now(),
    terminated_at  timestamptz
);
CREATE INDEX ON plain_sessions (user_id, last_active_at DESC) WHERE terminated_at IS NULL;
CREATE INDEX ON plain_sessions (ip_address, created_at DESC);

CREATE FUNCTION plain_heartbeat(session uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE plain_sessions SET last_active_at = now() WHERE id = session AND terminated_at IS NULL;
END $$;

CREATE FUNCTION plain_session(person uuid, address inet, info jsonb) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    made uuid;
BEGIN
    INSERT INTO plain_sessions (user_id, ip_address, device) VALUES (person, address, info)
    RETURNING id INTO made;
    INSERT INTO plain_events (event_type, description, metadata, ip_address, user_id, session_id)
    VALUES ('login_success', 'made for the benchmark', info, address, person, made);
    RETURN made;
END $$;
