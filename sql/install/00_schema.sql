-- Purpose: refuse to install where it cannot work; make the schema ours and create the roles.
-- Who may call: runs once, in CREATE EXTENSION, as the superuser who gives that command.
-- Relies on: nothing; everything after it relies on the roles and on the schema being empty.

DO $check$
DECLARE
    own_extension oid := (SELECT e.oid FROM pg_extension e WHERE e.extname = 'audit_guard');
    needed text;
    schema_id oid;
    other_extension name;
BEGIN
    IF current_setting('server_version_num')::integer < 150000 THEN
        RAISE EXCEPTION 'audit_guard needs PostgreSQL 15 or newer, this server is %',
            current_setting('server_version')
            USING ERRCODE = 'feature_not_supported', HINT = 'Upgrade the server with pg_upgrade.';
    END IF;

    FOREACH needed IN ARRAY ARRAY['audit', 'audit_api'] LOOP
        schema_id := to_regnamespace(needed);
        -- An extension holds a schema when it or anything inside it belongs to that extension.
        SELECT e.extname INTO other_extension
        FROM pg_depend member
        JOIN pg_extension e ON e.oid = member.refobjid
        WHERE member.refclassid = 'pg_extension'::regclass
          AND member.deptype = 'e'
          AND e.oid IS DISTINCT FROM own_extension
          AND ((member.classid = 'pg_namespace'::regclass AND member.objid = schema_id)
               OR EXISTS (SELECT FROM pg_depend inside
                          WHERE inside.classid = member.classid AND inside.objid = member.objid
                            AND inside.refclassid = 'pg_namespace'::regclass
                            AND inside.refobjid = schema_id))
        ORDER BY e.extname
        LIMIT 1;
        IF other_extension = 'supa_audit' THEN
            RAISE EXCEPTION 'schema "%" belongs to extension supa_audit', needed
                USING ERRCODE = 'duplicate_object',
                      HINT = 'Both cannot be installed. In one transaction: copy audit.record_version, '
                             'DROP EXTENSION supa_audit CASCADE, CREATE EXTENSION audit_guard, enable '
                             'tracking. See docs: moving from supa_audit.';
        ELSIF other_extension IS NOT NULL THEN
            RAISE EXCEPTION 'schema "%" belongs to extension %', needed, other_extension
                USING ERRCODE = 'duplicate_object',
                      HINT = format('Both cannot be installed. DROP EXTENSION %I; first.', other_extension);
        END IF;

        IF EXISTS (SELECT FROM pg_depend d
                   WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema_id
                     AND d.deptype = 'n'
                     AND NOT (d.classid = 'pg_extension'::regclass
                              AND d.objid IS NOT DISTINCT FROM own_extension)) THEN
            RAISE EXCEPTION 'schema "%" is not empty', needed
                USING ERRCODE = 'duplicate_object',
                      HINT = format('audit_guard needs this schema for itself. Move what is in it to another '
                                    'schema (renaming the schema alone leaves functions behind that still '
                                    'name "%1$s"), then: DROP SCHEMA %1$s; CREATE EXTENSION audit_guard;',
                                    needed);
        END IF;
    END LOOP;
END
$check$;

-- Roles belong to the whole cluster. A role of that name that somebody made for another purpose must not
-- inherit the log, so only a role that carries our comment is taken over (an earlier CREATE EXTENSION made
-- it).
DO $roles$
DECLARE
    wanted record;
    existing record;
BEGIN
    -- Two databases may install at the same time; the catalogue of roles is the one thing they share.
    LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE;
    FOR wanted IN
        SELECT v.role_name, v.purpose
        FROM (VALUES ('audit_owner', 'owns everything in the schemas audit and audit_api; has no members'),
                     ('audit_admin', 'configures; changes a table only when it also owns that table'),
                     ('audit_writer', 'calls the security, disclosure and access functions'),
                     ('audit_reader', 'reads the log and its views, verifies, runs the compliance checks'),
                     ('audit_reviewer', 'reviews crisis detections and activity'),
                     ('audit_officer', 'places holds, redacts, withdraws flags')) v(role_name, purpose)
    LOOP
        SELECT r.rolcanlogin OR r.rolsuper
               OR coalesce(shobj_description(r.oid, 'pg_authid'), '') NOT LIKE 'audit\_guard:%'
               AS foreign_role
        INTO existing
        FROM pg_roles r
        WHERE r.rolname = wanted.role_name;
        IF NOT FOUND THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted.role_name);
            EXECUTE format('COMMENT ON ROLE %I IS %L', wanted.role_name,
                                      'audit_guard: ' || wanted.purpose);
        ELSIF existing.foreign_role THEN
            RAISE EXCEPTION 'role "%" exists and was not made by audit_guard', wanted.role_name
                USING ERRCODE = 'duplicate_object',
                      DETAIL = 'It may log in, is a superuser, or its comment does not begin "audit_guard:".',
                      HINT = format('Rename it first: ALTER ROLE %I RENAME TO %I;',
                                               wanted.role_name, 'app_' || wanted.role_name);
        END IF;
    END LOOP;
END
$roles$;

-- An existing empty schema may have been prepared by somebody else: no right that was given on it survives.
-- It belongs to whoever installs, not to audit_owner: a dump names the owner of a schema before it creates
-- the extension, and a new server has no such role yet.
DO $schema$
DECLARE
    grantee oid;
BEGIN
    FOR grantee IN
        SELECT DISTINCT a.grantee
        FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = 'audit' AND a.grantee <> n.nspowner
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA audit FROM %s CASCADE',
                                  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END);
    END LOOP;
    ALTER SCHEMA audit OWNER TO CURRENT_USER;
    GRANT USAGE, CREATE ON SCHEMA audit TO audit_owner;
END
$schema$;

COMMENT ON SCHEMA audit IS 'audit_guard: what changed in this database, who changed it, and proof of both';
