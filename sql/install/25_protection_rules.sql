-- Purpose: what protect checks first, and the commands that make the triggers of a protected table.
-- Who may call: internal to protect, which runs with the rights of the caller (audit_admin).
-- Relies on: 24_policies.sql; when they are called, on 45_tracking_rules.sql and 55_ddl_trigger.sql.

CREATE FUNCTION audit._check_protectable(target regclass) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.protect(''schema_name.table_name'');';
    relation pg_class;
    stream constant regclass := audit._stream_of(target);
    protected_as regclass;
    part record;
BEGIN
    SELECT c.* INTO relation FROM pg_class c WHERE c.oid = target;
    IF relation.relkind IN ('i', 'I', 'S', 'c', 't') THEN
        RAISE EXCEPTION '% is no table: only tables can be protected', target
            USING ERRCODE = 'wrong_object_type', HINT = retry;
    ELSIF target::oid < 16384
          OR relation.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN
        RAISE EXCEPTION '% is a system catalogue: it cannot be protected', target
            USING ERRCODE = 'wrong_object_type', HINT = retry;
    ELSIF stream IS NOT NULL THEN
        RAISE EXCEPTION '% is protected already', target
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = CASE WHEN audit._stream_retention(stream) IS NULL THEN 'Its rows are kept for ever.'
                         ELSE format('For longer: SELECT audit.extend_retention(%L, ''10 years'');',
                                     stream::text) END;
    ELSIF relation.relnamespace = 'audit'::regnamespace THEN
        RAISE EXCEPTION '% belongs to audit_guard: it cannot be protected', target
            USING ERRCODE = 'wrong_object_type', HINT = retry;
    ELSIF relation.relkind IN ('v', 'm', 'f') THEN
        RAISE EXCEPTION '% is %: only tables can be protected', target,
            CASE relation.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
                                  ELSE 'a foreign table' END
            USING ERRCODE = 'feature_not_supported',
                  HINT = CASE WHEN relation.relkind = 'f' THEN 'Protect it on the server that holds the data: '
                              ELSE 'Protect the tables behind it: ' END || retry;
    ELSIF relation.relpersistence = 't' THEN
        RAISE EXCEPTION '% is a temporary table: it cannot be protected', target
            USING ERRCODE = 'feature_not_supported', HINT = retry;
    END IF;

    protected_as := audit._protected_as(target);
    IF protected_as <> target THEN
        RAISE EXCEPTION '% is a partition of %, which is protected', target, protected_as
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Its rows are protected already. For longer: '
                                'SELECT audit.extend_retention(%L, ''10 years'');', protected_as::text);
    END IF;
    FOR part IN
        SELECT c.oid::regclass AS relation, c.relkind, c.relpersistence,
               (SELECT min(r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid) AS rule_name
        FROM (SELECT _check_protectable.target UNION SELECT p.relid FROM pg_partition_tree(target) p) t(relid)
        JOIN pg_class c ON c.oid = t.relid
        ORDER BY c.oid <> target, c.oid::regclass::text
    LOOP
        IF part.relkind = 'f' THEN
            RAISE EXCEPTION '% has the foreign partition %: rows there cannot be protected', target,
                part.relation
                USING ERRCODE = 'feature_not_supported',
                      HINT = format('ALTER TABLE %s DETACH PARTITION %s;', target, part.relation);
        ELSIF part.relpersistence = 'u' THEN
            RAISE EXCEPTION '% is unlogged: a crash empties it, so it cannot be protected', part.relation
                USING ERRCODE = 'feature_not_supported',
                      HINT = format('ALTER TABLE %s SET LOGGED;', part.relation);
        ELSIF part.rule_name IS NOT NULL THEN
            RAISE EXCEPTION '% has the rule %: what it makes of a statement cannot be protected', part.relation,
                quote_ident(part.rule_name)
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('DROP RULE %I ON %s;', part.rule_name, part.relation);
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._check_protectable(regclass) IS
    'internal: refuses what is not a user''s table, and what cannot be kept from changing';

CREATE FUNCTION audit._choose_timestamp(target regclass, timestamp_column name) RETURNS name
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    usual constant name[] := '{created_at,logged_at,inserted_at,occurred_at}';
    chosen name;
BEGIN
    IF timestamp_column IS NOT NULL THEN
        PERFORM audit._check_columns(target, 'timestamp_column', ARRAY[timestamp_column::text]);
    END IF;
    SELECT a.attname INTO chosen
    FROM pg_attribute a
    WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
      AND CASE WHEN timestamp_column IS NULL THEN a.attname = ANY (usual)
               ELSE a.attname = timestamp_column END
      AND audit._time_type(a.atttypid) IS NOT NULL
    ORDER BY array_position(usual, a.attname)
    LIMIT 1;
    IF chosen IS NULL AND timestamp_column IS NOT NULL THEN
        RAISE EXCEPTION 'column "%" of % is no timestamp and no date', timestamp_column, target
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT audit.protect(%L, timestamp_column => ''created_at'');', target::text);
    ELSIF chosen IS NULL THEN
        RAISE EXCEPTION '% has no column that says how old a row is: %', target,
            array_to_string(usual, ', ')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT audit.protect(%L, timestamp_column => ''...'');', target::text);
    END IF;
    RETURN chosen;
END
$body$;
COMMENT ON FUNCTION audit._choose_timestamp(regclass, name) IS
    'internal: the column that says how old a row is: the one that is named, else the first of the usual names';

CREATE FUNCTION audit._changes_rows(target regclass) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT EXISTS (
        SELECT FROM (SELECT _changes_rows.target UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relid)
        JOIN pg_trigger t ON t.tgrelid = r.relid
        -- For each row, BEFORE, on INSERT or DELETE.
        WHERE t.tgtype & 3 = 3 AND t.tgtype & 12 <> 0 AND t.tgfoid <> 'audit.enforce_retention()'::regprocedure)
$body$;
COMMENT ON FUNCTION audit._changes_rows(regclass) IS
    'internal: whether another trigger may change or leave out rows before they are inserted or deleted';

-- What counts is the row as it is stored. Where another trigger may still change it, or keep it from being
-- inserted or deleted, and where its time is only computed then, the row is looked at afterwards.
CREATE FUNCTION audit._protect_row_command(
    target regclass, trigger_name name, retention interval, timestamp_column name)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'iso_8601'
AS $body$
    SELECT format('CREATE TRIGGER %I %s INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION '
                  'audit.enforce_retention(%L, %L)', trigger_name,
                  CASE WHEN a.attgenerated <> '' OR audit._changes_rows(target) THEN 'AFTER' ELSE 'BEFORE' END,
                  target, 'retention=' || retention,
                  format('timestamp=%s#%s@%s', a.attname, a.attnum, target::oid))
    FROM pg_attribute a
    WHERE a.attrelid = target AND a.attname = timestamp_column
$body$;
COMMENT ON FUNCTION audit._protect_row_command(regclass, name, interval, name) IS
    'internal: the command that makes the row trigger of a protected table';

CREATE FUNCTION audit._protect_statement_commands(target regclass) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (
        SELECT coalesce(array_agg(
            format('CREATE TRIGGER %I BEFORE UPDATE OR TRUNCATE ON %s FOR EACH STATEMENT '
                   'EXECUTE FUNCTION audit.enforce_retention()',
                   audit._fit_name('protect_' || c.relname || '_truncate'), c.oid::regclass)
            ORDER BY c.oid::regclass::text), '{}')
        FROM (SELECT _protect_statement_commands.target
              UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relid)
        JOIN pg_class c ON c.oid = r.relid
        WHERE NOT EXISTS (SELECT FROM audit._retention_triggers(c.oid) t WHERE NOT t.is_row));
END
$body$;
COMMENT ON FUNCTION audit._protect_statement_commands(regclass) IS
    'internal: the commands that make the missing statement triggers of a protected table and its partitions';

CREATE FUNCTION audit._protect_always_commands(target regclass) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(array_agg(format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::regclass, t.tgname)
                              ORDER BY t.tgparentid, t.tgrelid::regclass::text, t.tgname), '{}')
    FROM (SELECT _protect_always_commands.target
          UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relid)
    JOIN pg_trigger t ON t.tgrelid = r.relid
    WHERE t.tgfoid = 'audit.enforce_retention()'::regprocedure AND t.tgenabled <> 'A'
$body$;
COMMENT ON FUNCTION audit._protect_always_commands(regclass) IS
    'internal: the commands that make the triggers of a protected table and its partitions fire always';

-- For the event trigger: the statement triggers that partitions made or attached just now still need.
CREATE FUNCTION audit._plan_protected_partitions(tables oid[]) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(audit._plan_item(r.root, false, c.commands) ORDER BY r.root), '[]')
        FROM (SELECT DISTINCT audit._protected_as(a.relation) AS root FROM unnest(tables) a(relation)) r
        CROSS JOIN LATERAL audit._protect_statement_commands(r.root) c(commands)
        WHERE r.root IS NOT NULL AND c.commands <> '{}');
END
$body$;
COMMENT ON FUNCTION audit._plan_protected_partitions(oid[]) IS
    'internal: the statement triggers that partitions of protected tables still need';

-- Says what will no longer work although nobody asked for it.
CREATE FUNCTION audit._notice_protection(target regclass) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    key record;
    heirs text;
BEGIN
    FOR key IN
        SELECT k.conname, k.confrelid::regclass AS referenced,
               concat_ws(' ', 'ON DELETE ' || CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL'
                                                                 WHEN 'd' THEN 'SET DEFAULT' END,
                         'ON UPDATE ' || CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL'
                                                            WHEN 'd' THEN 'SET DEFAULT' END) AS actions
        FROM pg_constraint k
        WHERE k.conrelid = target AND k.contype = 'f'
          AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
        ORDER BY k.conname
    LOOP
        RAISE NOTICE 'foreign key %: % would change rows of %, so the statement on % behind it is refused',
            quote_ident(key.conname), key.actions, target, key.referenced;
    END LOOP;
    SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text) INTO heirs
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = target AND NOT c.relispartition;
    IF heirs IS NOT NULL THEN
        RAISE NOTICE 'rows of tables that inherit from % are not protected: %', target, heirs
            USING HINT = 'SELECT audit.protect(...) for each of them.';
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._notice_protection(regclass) IS
    'internal: names the foreign keys whose actions will be refused, and what is not protected';
