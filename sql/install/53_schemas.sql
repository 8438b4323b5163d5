-- Purpose: tracks all tables of a schema, and those that are made in it later.
-- Who may call: members of audit_admin that own the tables, and the schema for those to come.
-- Relies on: 50_tracking.sql; tables to come are noticed by 54_ddl.sql.

-- The only option that is not an argument of a trigger, because there is no trigger yet. Kept by name: a schema
-- that is dropped and made again is tracked again.
CREATE TABLE audit.tracked_schemas (
    schema_name name PRIMARY KEY,
    except_tables text[] COLLATE "C" NOT NULL DEFAULT '{}',
    enabled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    enabled_by text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit.tracked_schemas IS 'schemas whose tables to come are tracked from birth';
COMMENT ON COLUMN audit.tracked_schemas.schema_name IS 'name of the schema';
COMMENT ON COLUMN audit.tracked_schemas.except_tables IS 'names of tables that are left out';
COMMENT ON COLUMN audit.tracked_schemas.enabled_at IS 'when this was last decided';
COMMENT ON COLUMN audit.tracked_schemas.enabled_by IS 'the role that decided it';

CREATE FUNCTION audit._check_schema(schema_name name, called text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF schema_name IS NULL THEN
        RAISE EXCEPTION 'schema_name must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = format('SELECT audit.%I(''public'');', called);
    ELSIF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = schema_name) THEN
        RAISE EXCEPTION 'schema "%" does not exist', schema_name
            USING ERRCODE = 'invalid_schema_name', HINT = format('SELECT audit.%I(''public'');', called);
    ELSIF schema_name LIKE 'pg\_%' OR schema_name IN ('information_schema', 'audit', 'audit_api') THEN
        RAISE EXCEPTION 'schema "%" is not for tables of users: it cannot be tracked', schema_name
            USING ERRCODE = 'wrong_object_type', HINT = format('SELECT audit.%I(''public'');', called);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_schema(name, text) IS
    'internal: refuses null, a schema that does not exist, and those of the system; the hint repeats the call';

-- Writes a table of ours, so it runs with the rights of its owner and asks for the caller's.
CREATE FUNCTION audit._remember_schema(schema_name name, except_tables text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    caller constant name := (audit.current_context()).actor_role;
    owner constant oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = schema_name);
BEGIN
    IF NOT pg_has_role(caller, owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of schema %', quote_ident(schema_name)
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Only the tables that are there now: SELECT audit.enable_tracking_schema(%L, '
                                'include_future => false); or as its owner: SET ROLE %s;',
                                schema_name, owner::regrole);
    END IF;
    -- Waits for transactions that have made tables already, and lets none make one before this is decided:
    -- what they made would be missed, because neither they nor we would see what the other did.
    LOCK TABLE audit.tracked_schemas IN EXCLUSIVE MODE;
    INSERT INTO audit.tracked_schemas (schema_name, except_tables, enabled_by)
    VALUES (_remember_schema.schema_name, _remember_schema.except_tables, caller)
    ON CONFLICT ON CONSTRAINT tracked_schemas_pkey DO UPDATE
        SET except_tables = excluded.except_tables, enabled_at = excluded.enabled_at,
            enabled_by = excluded.enabled_by;
    PERFORM audit._record_event('schema_tracking_enabled', quote_ident(schema_name), NULL,
                                jsonb_build_object('except_tables', except_tables));
    IF NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = 'audit.audit_log'::regclass) THEN
        PERFORM audit.maintain_partitions();
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._remember_schema(name, text[]) IS
    'internal: from now on, tables that are made in the schema are tracked';

CREATE FUNCTION audit._forget_schema(schema_name name, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    caller constant name := (audit.current_context()).actor_role;
    owner constant oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = schema_name);
BEGIN
    IF NOT EXISTS (SELECT FROM audit.tracked_schemas s WHERE s.schema_name = _forget_schema.schema_name) THEN
        RETURN false;
    ELSIF NOT pg_has_role(caller, owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of schema %', quote_ident(schema_name)
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As its owner: SET ROLE %s; then repeat.', owner::regrole);
    END IF;
    DELETE FROM audit.tracked_schemas s WHERE s.schema_name = _forget_schema.schema_name;
    PERFORM audit._record_event('schema_tracking_disabled', quote_ident(schema_name), reason, NULL);
    RETURN true;
END
$body$;
COMMENT ON FUNCTION audit._forget_schema(name, text) IS
    'internal: tables that are made in the schema are no longer tracked; false when they never were';

CREATE FUNCTION audit.enable_tracking_schema(
    schema_name name, include_future boolean DEFAULT true, except_tables text[] DEFAULT '{}')
RETURNS SETOF regclass
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := format('SELECT audit.enable_tracking_schema(%L);', schema_name);
    wanted text;
    candidate record;
BEGIN
    PERFORM audit._check_schema(schema_name, 'enable_tracking_schema');
    IF include_future IS NULL OR except_tables IS NULL OR array_position(except_tables, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'include_future and except_tables must not be or contain null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    END IF;
    FOREACH wanted IN ARRAY except_tables LOOP
        IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname = schema_name AND c.relname = wanted AND c.relkind IN ('r', 'p')) THEN
            -- A table to come may be left out, too; a name that is written with its schema never fits.
            IF NOT include_future OR wanted LIKE '%.%' THEN
                RAISE EXCEPTION 'except_tables: schema % has no table "%"', quote_ident(schema_name), wanted
                    USING ERRCODE = 'undefined_table',
                          HINT = 'Names without the schema: ' || format(
                              'SELECT audit.enable_tracking_schema(%L, except_tables => ARRAY[%L]);',
                              schema_name, split_part(wanted, '.', -1));
            END IF;
            RAISE NOTICE 'schema % has no table "%" yet', quote_ident(schema_name), wanted;
        END IF;
    END LOOP;
    IF include_future THEN
        PERFORM audit._remember_schema(schema_name, except_tables);
    END IF;

    -- Partitions are tracked with their table.
    FOR candidate IN
        SELECT c.oid::regclass AS relation,
               CASE WHEN c.relname = ANY (except_tables) THEN 'left out as asked'
                    WHEN d.objid IS NOT NULL THEN 'it belongs to an extension'
                    WHEN NOT pg_has_role(c.relowner, 'USAGE') THEN 'it belongs to ' || c.relowner::regrole
                    WHEN audit._tracked_as(c.oid) IS NOT NULL THEN 'it is tracked already' END AS obstacle
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                                 AND d.deptype = 'e'
        WHERE n.nspname = schema_name AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relpersistence <> 't'
        ORDER BY c.relname
    LOOP
        IF candidate.obstacle IS NOT NULL THEN
            RAISE NOTICE '% skipped: %', candidate.relation, candidate.obstacle;
            CONTINUE;
        END IF;
        BEGIN
            PERFORM audit.enable_tracking(candidate.relation);
            RETURN NEXT candidate.relation;
        EXCEPTION WHEN duplicate_object OR undefined_table THEN
            -- A trigger of somebody else's has our name, or the table was dropped meanwhile.
            RAISE NOTICE '% skipped: %', candidate.relation, SQLERRM;
        END;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit.enable_tracking_schema(name, boolean, text[]) IS
    'tracks every table of a schema, with include_future those to come as well; returns what it newly tracked';

CREATE FUNCTION audit.disable_tracking_schema(schema_name name, reason text DEFAULT NULL)
RETURNS SETOF regclass
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    candidate record;
BEGIN
    PERFORM audit._check_schema(schema_name, 'disable_tracking_schema');
    IF NOT audit._forget_schema(schema_name, reason) THEN
        RAISE NOTICE 'tables to come of schema % were not tracked', quote_ident(schema_name);
    END IF;
    FOR candidate IN
        SELECT c.oid::regclass AS relation, pg_has_role(c.relowner, 'USAGE') AS is_owner,
               c.relowner::regrole AS owner
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = schema_name AND audit._tracked_as(c.oid) = c.oid
        ORDER BY c.relname
    LOOP
        IF candidate.is_owner THEN
            PERFORM audit.disable_tracking(candidate.relation, reason);
            RETURN NEXT candidate.relation;
        ELSE
            RAISE NOTICE '% skipped: it belongs to %', candidate.relation, candidate.owner;
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit.disable_tracking_schema(name, text) IS
    'stops recording changes of a schema''s tables, those to come included; returns what it switched off';
