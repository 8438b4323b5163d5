-- Purpose: lets an application say who is acting, and shows what would be logged now.
-- Who may call: everybody. What is declared here is a declaration, never proof (actor_source = 'context').
-- Relies on: 10_types.sql.

CREATE FUNCTION audit.set_context(
    actor_id text DEFAULT NULL, session_id uuid DEFAULT NULL, client_ip inet DEFAULT NULL,
    tenant_id text DEFAULT NULL, phi_accessed boolean DEFAULT NULL, context jsonb DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'set_context_wrapper';
COMMENT ON FUNCTION audit.set_context(text, uuid, inet, text, boolean, jsonb) IS
    'declares for the rest of the transaction who acts; null keeps what was declared, no argument at all '
    'clears it';

-- Ids that are numbers or uuids need no cast. No default for actor_id: set_context() must stay unambiguous.
-- The body has the form that the planner replaces by the call in it, so it costs nothing and warns in the
-- same cases. A null id becomes an empty one, which changes nothing: null alone would clear everything.
CREATE FUNCTION audit.set_context(
    actor_id anyelement, session_id uuid DEFAULT NULL, client_ip inet DEFAULT NULL,
    tenant_id text DEFAULT NULL, phi_accessed boolean DEFAULT NULL, context jsonb DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
AS $body$
    SELECT audit.set_context(coalesce(actor_id::pg_catalog.text, ''), session_id, client_ip, tenant_id,
                             phi_accessed, context)
$body$;
COMMENT ON FUNCTION audit.set_context(anyelement, uuid, inet, text, boolean, jsonb) IS
    'the same for an actor_id of any type';

CREATE FUNCTION audit.current_context() RETURNS audit.request_context
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'current_context_wrapper';
COMMENT ON FUNCTION audit.current_context() IS 'who would be logged as acting if a row changed now';
