-- Purpose: the types that columns and results of the capture part use.
-- Who may call: everybody may name them; they hold no data.
-- Relies on: 00_schema.sql.

CREATE TYPE audit.operation AS ENUM ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE');
COMMENT ON TYPE audit.operation IS 'what happened to a row, or to a whole table (TRUNCATE)';

CREATE TYPE audit.request_context AS (
    actor_id text,
    actor_source text,
    login_role text,
    actor_role text,
    tenant_id text,
    session_id uuid,
    client_ip inet,
    application_name text,
    phi_accessed boolean,
    context jsonb
);
COMMENT ON TYPE audit.request_context IS 'who is acting and from where: what audit.current_context() returns';
COMMENT ON COLUMN audit.request_context.actor_id IS
    'the acting person, as the application or the JWT names it';
COMMENT ON COLUMN audit.request_context.actor_source IS
    'where actor_id comes from: context (declared by set_context), jwt, or null when there is none';
COMMENT ON COLUMN audit.request_context.login_role IS
    'the role that logged in; SET ROLE and SET SESSION AUTHORIZATION do not change it';
COMMENT ON COLUMN audit.request_context.actor_role IS
    'the role in force; a definer function does not hide it';
COMMENT ON COLUMN audit.request_context.tenant_id IS 'the declared tenant, else the one in the JWT';
COMMENT ON COLUMN audit.request_context.session_id IS 'the session of the application';
COMMENT ON COLUMN audit.request_context.client_ip IS 'the address of the person, else of the connection';
COMMENT ON COLUMN audit.request_context.application_name IS 'application_name of the connection';
COMMENT ON COLUMN audit.request_context.phi_accessed IS
    'whether protected health information was declared as touched';
COMMENT ON COLUMN audit.request_context.context IS 'everything else that is known about the request';

CREATE TYPE audit.health_item AS (
    check_name text,
    ok boolean,
    detail text,
    fix text
);
COMMENT ON TYPE audit.health_item IS 'one line of audit.health()';
COMMENT ON COLUMN audit.health_item.check_name IS 'what was looked at';
COMMENT ON COLUMN audit.health_item.ok IS 'true when nothing has to be done';
COMMENT ON COLUMN audit.health_item.detail IS 'what was found';
COMMENT ON COLUMN audit.health_item.fix IS 'the command that mends it, null when ok';

CREATE TYPE audit.guard_state AS (
    level integer,
    part text,
    object text,
    in_force boolean,
    why text,
    fix text
);
COMMENT ON TYPE audit.guard_state IS 'one line of audit.guard_status()';
COMMENT ON COLUMN audit.guard_state.level IS '1 = triggers and ownership, 2 = event triggers, 3 = lockdown';
COMMENT ON COLUMN audit.guard_state.part IS 'what was looked at';
COMMENT ON COLUMN audit.guard_state.object IS 'the table or object that it is about';
COMMENT ON COLUMN audit.guard_state.in_force IS 'whether it protects at this moment';
COMMENT ON COLUMN audit.guard_state.why IS 'what was found';
COMMENT ON COLUMN audit.guard_state.fix IS 'the command that brings it into force, null when it is';

CREATE TYPE audit.retention_item AS (
    relation text,
    kind text,
    retention interval,
    oldest timestamptz,
    newest timestamptz,
    rows_expired bigint,
    rows_held bigint,
    action text,
    certificate_id bigint,
    more boolean
);
COMMENT ON TYPE audit.retention_item IS 'one line of audit.retention_plan() or audit.apply_retention()';
COMMENT ON COLUMN audit.retention_item.relation IS
    'the protected table or stream; null when there was nothing to do';
COMMENT ON COLUMN audit.retention_item.kind IS
    'stream: one of our own tables; table: one of a user';
COMMENT ON COLUMN audit.retention_item.retention IS 'how long a row stays';
COMMENT ON COLUMN audit.retention_item.oldest IS
    'the time of the oldest row: of the table (plan), of what was removed (apply)';
COMMENT ON COLUMN audit.retention_item.newest IS 'the time of the newest row, likewise';
COMMENT ON COLUMN audit.retention_item.rows_expired IS 'rows that may go (plan) or went (apply)';
COMMENT ON COLUMN audit.retention_item.rows_held IS 'expired rows that a hold keeps';
COMMENT ON COLUMN audit.retention_item.action IS 'what will be done, or was done, or stands in the way';
COMMENT ON COLUMN audit.retention_item.certificate_id IS
    'number of the event in guard_events that certifies what left; null in a plan';
COMMENT ON COLUMN audit.retention_item.more IS 'whether another call has more to do';
