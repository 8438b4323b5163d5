-- Purpose: the event triggers that refuse commands which would weaken what is protected.
-- Who may call: nobody; the server runs the event triggers, and the library asks the functions.
-- Relies on: 30_guard.sql, 31_protect.sql.
--
-- Without the library being preloaded this is all there is between a superuser and a protected table; with it,
-- hooks ask the same questions first, and event triggers cannot be switched off.

CREATE FUNCTION audit._shield() RETURNS event_trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'audit_shield';
COMMENT ON FUNCTION audit._shield() IS
    'event trigger: refuses commands that would weaken the protection of rows';

-- What is protected, and what keeps it so: streams and their leaves, tables of users and their partitions.
CREATE FUNCTION audit._guarded_tables() RETURNS SETOF oid
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT t.tgrelid
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid
    WHERE t.tgfoid = 'audit.enforce_retention()'::regprocedure
       OR (c.relnamespace = 'audit'::regnamespace
           AND t.tgfoid IN ('audit.prevent_modification()'::regprocedure,
                            'audit.prevent_audit_modification()'::regprocedure))
    GROUP BY t.tgrelid
$body$;
COMMENT ON FUNCTION audit._guarded_tables() IS 'internal: all protected tables and partitions';

-- Labels, names and checks of a type are part of what stored rows say.
CREATE FUNCTION audit._protected_by_type(type_oid text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH RECURSIVE made_of(oid) AS (
        SELECT type_oid::oid
        UNION
        SELECT y.oid
        FROM made_of m
        JOIN pg_type y ON y.typelem = m.oid OR y.typbasetype = m.oid
                          OR EXISTS (SELECT FROM pg_attribute a
                                     WHERE a.attrelid = y.typrelid AND a.atttypid = m.oid AND y.typtype = 'c')
    )
    SELECT coalesce(
        (SELECT a.attrelid::regclass::text
         FROM pg_attribute a
         WHERE a.atttypid IN (SELECT m.oid FROM made_of m) AND a.attnum > 0 AND NOT a.attisdropped
           AND a.attrelid IN (SELECT g.* FROM audit._guarded_tables() g)
         ORDER BY 1 LIMIT 1),
        (SELECT 'type ' || y.oid::regtype FROM pg_type y
         WHERE y.oid = type_oid::oid AND y.typnamespace = 'audit'::regnamespace),
        '')
$body$;
COMMENT ON FUNCTION audit._protected_by_type(text) IS
    'internal: a protected table that has a column of this type, or of one made of it; empty when there is none';

CREATE FUNCTION audit._protected_in_schema(schema_oid text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((SELECT c.oid::regclass::text
                     FROM audit._guarded_tables() g(oid) JOIN pg_class c ON c.oid = g.oid
                     WHERE c.relnamespace = schema_oid::oid
                     ORDER BY 1 LIMIT 1), '')
$body$;
COMMENT ON FUNCTION audit._protected_in_schema(text) IS
    'internal: a protected table in this schema; empty when there is none';

CREATE FUNCTION audit._protected_of_role(role_oid text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((SELECT c.oid::regclass::text
                     FROM audit._guarded_tables() g(oid) JOIN pg_class c ON c.oid = g.oid
                     WHERE c.relowner = role_oid::oid
                     ORDER BY 1 LIMIT 1), '')
$body$;
COMMENT ON FUNCTION audit._protected_of_role(text) IS
    'internal: a protected table that this role owns; empty when there is none';

CREATE FUNCTION audit._policies_of(table_oid text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((SELECT string_agg(p.polname, ', ' ORDER BY p.polname) FROM pg_policy p
                     WHERE p.polrelid = table_oid::oid AND p.polpermissive AND p.polcmd IN ('r', '*')), '')
$body$;
COMMENT ON FUNCTION audit._policies_of(text) IS
    'internal: the policies by which a table can be read; empty when there is none';

CREATE FUNCTION audit._installed_version() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT e.extversion FROM pg_extension e WHERE e.extname = 'audit_guard'
$body$;
COMMENT ON FUNCTION audit._installed_version() IS 'internal: the version of the SQL that is installed';

-- What would be lost with the extension, in words; empty when it is nothing.
CREATE FUNCTION audit._rows_held() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    stream regclass;
    in_stream bigint;
    held bigint := 0;
    tables bigint;
BEGIN
    FOR stream IN
        SELECT c.oid FROM audit._guarded_tables() g(oid) JOIN pg_class c ON c.oid = g.oid
        JOIN audit.ledger_streams s ON s.table_name = c.relname
        WHERE c.relnamespace = 'audit'::regnamespace AND s.table_schema = 'audit'
    LOOP
        EXECUTE format('SELECT count(*) FROM %s', stream) INTO in_stream;
        held := held + in_stream;
    END LOOP;
    SELECT count(*) INTO tables
    FROM audit._guarded_tables() g(oid) JOIN pg_class c ON c.oid = g.oid
    WHERE c.relnamespace <> 'audit'::regnamespace AND NOT c.relispartition;
    RETURN CASE WHEN held > 0 OR tables > 0 THEN to_char(held, 'FM999,999,999,999') || ' protected rows'
                ELSE '' END
           || CASE WHEN tables > 0 THEN format(' and protects %s tables', tables) ELSE '' END;
END
$body$;
COMMENT ON FUNCTION audit._rows_held() IS 'internal: what DROP EXTENSION would lose';

-- Tables and columns that a statement took along, for example with their schema or their type. Protected tables are
-- known by the names in guard_policies, and their partitions by the trigger that went with them.
CREATE FUNCTION audit._guarded_drop() RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((
        SELECT format('%s.%s', d.address_names[1], d.address_names[2])
        FROM pg_event_trigger_dropped_objects() d
        WHERE NOT d.is_temporary
          AND ((d.address_names[1] = 'audit' AND d.object_type IN ('table', 'table column'))
               OR EXISTS (SELECT FROM audit.guard_policies p
                          WHERE (d.object_type IN ('table', 'table column')
                                 AND p.table_schema = d.address_names[1]
                                 AND p.table_name = d.address_names[2])
                             OR (d.object_type = 'trigger'
                                 AND d.address_names[3] = audit._fit_name('protect_' || p.table_name))))
        ORDER BY 1 LIMIT 1), '')
$body$;
COMMENT ON FUNCTION audit._guarded_drop() IS
    'internal: a protected table that the present statement dropped, or a column of it; empty when there is none';

CREATE FUNCTION audit._guarded_rewrite() RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((SELECT r.relation::regclass::text
                     FROM pg_event_trigger_table_rewrite_oid() r(relation)
                     WHERE r.relation IN (SELECT g.* FROM audit._guarded_tables() g)), '')
$body$;
COMMENT ON FUNCTION audit._guarded_rewrite() IS
    'internal: the protected table that the present statement rewrites; empty when it is none';

CREATE EVENT TRIGGER audit_guard_shield ON ddl_command_start EXECUTE FUNCTION audit._shield();
ALTER EVENT TRIGGER audit_guard_shield ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER audit_guard_shield IS
    'audit_guard: refuses commands that would weaken the protection of rows';

CREATE EVENT TRIGGER audit_guard_shield_drop ON sql_drop EXECUTE FUNCTION audit._shield();
ALTER EVENT TRIGGER audit_guard_shield_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER audit_guard_shield_drop IS
    'audit_guard: refuses to drop protected tables with something else';

CREATE EVENT TRIGGER audit_guard_shield_rewrite ON table_rewrite EXECUTE FUNCTION audit._shield();
ALTER EVENT TRIGGER audit_guard_shield_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER audit_guard_shield_rewrite IS
    'audit_guard: refuses to rewrite protected tables';
