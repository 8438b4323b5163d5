-- Purpose: which person and which roles stand behind one database role that many people share.
-- Who may call: everybody calls has_role, and policies call the others for whoever reads.
-- Relies on: 51_context.sql; when they are called, on audit._claims() of 76_security_native.sql.

-- As the library reads audit_guard.tenant_claims: paths separated by commas, steps by dots; what holds one of
-- these is written in double quotes.
CREATE FUNCTION audit._claim_paths(paths text) RETURNS SETOF text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 2 SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT array_agg(s.step ORDER BY s.place)
    FROM regexp_split_to_table(paths, ',(?=([^"]*"[^"]*")*[^"]*$)') WITH ORDINALITY p(path, place)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN btrim(r.raw) ~ '^".*"$'
                    THEN replace(substr(btrim(r.raw), 2, length(btrim(r.raw)) - 2), '""', '"')
                    ELSE regexp_replace(r.raw, '\s', '', 'g') END, r.place
        FROM regexp_split_to_table(p.path, '\.(?=([^"]*"[^"]*")*[^"]*$)') WITH ORDINALITY r(raw, place)
    ) s(step, place)
    WHERE s.step <> ''
    GROUP BY p.place
    ORDER BY p.place
$body$;
COMMENT ON FUNCTION audit._claim_paths(text) IS
    'internal: the paths to claims in a setting, each as its steps';

CREATE FUNCTION audit._claim_text(claims jsonb, path text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN jsonb_typeof(claims #> path) IN ('string', 'number', 'boolean')
                THEN nullif(claims #>> path, '') END
$body$;
COMMENT ON FUNCTION audit._claim_text(jsonb, text[]) IS
    'internal: what a claim says as text; null when it is absent, empty or no single value';

-- plpgsql, because it keeps its plan from one transaction to the next.
CREATE FUNCTION audit._as_uuid(value text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF length(value) = 36 AND value ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        RETURN value::uuid;
    END IF;
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION audit._as_uuid(text) IS 'internal: a uuid as people write it; null when the text is none';

-- A person is a text, and a uuid beside it when that text is one, however it was written.
CREATE FUNCTION audit._same_person(INOUT subject text, INOUT user_id uuid)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    named constant uuid := audit._as_uuid(subject);
BEGIN
    IF user_id IS NULL THEN
        user_id := named;
    ELSIF subject ~ '\S' AND named IS DISTINCT FROM user_id THEN
        RAISE EXCEPTION 'subject and user_id must mean the same person'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give one of them.';
    END IF;
    subject := coalesce(user_id::text, CASE WHEN subject ~ '\S' THEN subject END);
END
$body$;
COMMENT ON FUNCTION audit._same_person(text, uuid) IS
    'internal: a person from either of the two ways to name one; refuses two that differ; a blank text is '
    'nobody';

CREATE FUNCTION audit._person() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (SELECT coalesce(audit._as_uuid(p.person)::text, p.person)
            FROM audit._claim_text(audit._claims(), ARRAY[current_setting('audit_guard.actor_claim')]) p(person));
END
$body$;
COMMENT ON FUNCTION audit._person() IS
    'the person of this request, when a login that is trusted says so; null otherwise';

CREATE FUNCTION audit._own_tenant() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    claims constant jsonb := audit._claims();
    path text[];
    tenant text;
BEGIN
    IF claims IS NOT NULL THEN
        FOR path IN SELECT p.path FROM audit._claim_paths(current_setting('audit_guard.tenant_claims')) p(path)
        LOOP
            tenant := audit._claim_text(claims, path);
            EXIT WHEN tenant IS NOT NULL;
        END LOOP;
    END IF;
    RETURN tenant;
END
$body$;
COMMENT ON FUNCTION audit._own_tenant() IS
    'the tenant of the person of this request, when a login that is trusted says so; null otherwise';

-- app_metadata is what the issuer of the token decides; user_metadata, which people change themselves, never
-- counts. The setting reads "path: value=role, value=role", several of them separated by semicolons.
CREATE FUNCTION audit._claimed_roles(claims jsonb, role_claim_map text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(array_agg(DISTINCT r.role), '{}')
    FROM (
        SELECT c.value #>> '{}'
        FROM jsonb_path_query(claims, 'strict $.app_metadata.audit_roles[*]', silent => true) c(value)
        UNION ALL
        SELECT btrim(substring(e.entry FROM '=([^=]*)$'))
        FROM regexp_split_to_table(role_claim_map, ';(?=([^"]*"[^"]*")*[^"]*$)') m(map)
        CROSS JOIN LATERAL regexp_match(m.map, '^((?:"[^"]*"|[^":])*):(.*)$') p(parts)
        CROSS JOIN LATERAL audit._claim_paths(p.parts[1]) c(path)
        CROSS JOIN LATERAL unnest(string_to_array(p.parts[2], ',')) e(entry)
        CROSS JOIN LATERAL (
            SELECT v.value #>> '{}'
            FROM jsonb_array_elements(CASE jsonb_typeof(claims #> c.path)
                                          WHEN 'array' THEN claims #> c.path
                                          ELSE jsonb_build_array(claims #> c.path) END) v(value)
        ) own(value)
        WHERE own.value = btrim(substring(e.entry FROM '^(.*)=[^=]*$'))
    ) r(role)
    WHERE r.role IN ('admin', 'writer', 'reader', 'reviewer', 'officer', 'tenant_admin')
$body$;
COMMENT ON FUNCTION audit._claimed_roles(jsonb, text) IS
    'internal: the roles that claims give: those in app_metadata.audit_roles, and what '
    'audit_guard.role_claim_map makes of others';

-- Runs with our owner's rights, so the role of whoever calls is asked for by name.
CREATE FUNCTION audit.has_role(role text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF role IS NULL THEN
        RAISE EXCEPTION 'role must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'SELECT audit.has_role(''reader'');';
    ELSIF role NOT IN ('admin', 'writer', 'reader', 'reviewer', 'officer', 'tenant_admin') THEN
        RAISE EXCEPTION 'role must be admin, writer, reader, reviewer, officer or tenant_admin'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT audit.has_role(''reader'');';
    END IF;
    RETURN coalesce(role <> 'tenant_admin'
                    AND pg_has_role(to_regrole(quote_ident((audit.current_context()).actor_role)),
                                    to_regrole('audit_' || role), 'USAGE'), false)
           OR coalesce(role = ANY (audit._claimed_roles(
                           audit._claims(), current_setting('audit_guard.role_claim_map', true))), false);
END
$body$;
COMMENT ON FUNCTION audit.has_role(text) IS
    'whether whoever asks is admin, writer, reader, reviewer, officer or tenant_admin: by membership in the role '
    'audit_..., or, behind a login in audit_guard.trusted_logins, by the claims of the request';
