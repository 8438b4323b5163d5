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
