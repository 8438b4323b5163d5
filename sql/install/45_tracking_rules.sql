-- Purpose: what enable_tracking and disable_tracking check first, and how our triggers are found and named.
-- Who may call: internal to the tracking functions, which run with the rights of the caller (audit_admin).
-- Relies on: 10_types.sql.

CREATE FUNCTION audit.log_changes() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'audit_log_changes';
COMMENT ON FUNCTION audit.log_changes() IS
    'trigger: writes each change of a row, and TRUNCATE, to audit.audit_log; options are its arguments';

CREATE FUNCTION audit._tracking_state(trigger_id oid) RETURNS jsonb
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'tracking_state_wrapper';
COMMENT ON FUNCTION audit._tracking_state(oid) IS
    'internal: the options of a tracking trigger as they apply now, with the present names of the columns';

CREATE FUNCTION audit._option_names(trigger_id oid) RETURNS jsonb
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'option_names_wrapper';
COMMENT ON FUNCTION audit._option_names(oid) IS
    'internal: every name that the options of a tracking trigger mention, also of columns that are gone';

-- Triggers of ours are found by their function, never by their name: tables get renamed, and triggers, too.
CREATE FUNCTION audit._own_triggers(target regclass)
RETURNS TABLE (trigger_id oid, trigger_name name, is_row boolean, is_clone boolean, is_constraint boolean)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT t.oid, t.tgname, (t.tgtype & 1) = 1, t.tgparentid <> 0, t.tgconstraint <> 0
    FROM pg_trigger t
    WHERE t.tgrelid = _own_triggers.target AND t.tgfoid = 'audit.log_changes()'::regprocedure
    ORDER BY t.oid
$body$;
COMMENT ON FUNCTION audit._own_triggers(regclass) IS 'internal: the tracking triggers of one table';

-- Rows of a partition are logged under the name of the table that was tracked, however far up that is.
CREATE FUNCTION audit._tracked_as(target regclass) RETURNS regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT a.relid
    FROM (SELECT _tracked_as.target, 0
          UNION ALL
          SELECT p.relid, p.steps
          FROM pg_partition_ancestors(_tracked_as.target) WITH ORDINALITY p(relid, steps)
         ) a(relid, steps)
    WHERE EXISTS (SELECT FROM audit._own_triggers(a.relid) t WHERE t.is_row AND NOT t.is_clone)
    ORDER BY a.steps DESC
    LIMIT 1
$body$;
COMMENT ON FUNCTION audit._tracked_as(regclass) IS
    'internal: the tracked table that a table''s rows are logged under; null when they are not logged';

-- Columns that identify a row: the primary key, else the index named as replica identity, else none.
CREATE FUNCTION audit._key_columns(target regclass) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((
        SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM (SELECT i.indrelid, i.indkey, i.indnkeyatts
              FROM pg_index i
              WHERE i.indrelid = _key_columns.target AND (i.indisprimary OR i.indisreplident)
              ORDER BY i.indisprimary DESC
              LIMIT 1) i
        CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.place <= i.indnkeyatts), '{}')
$body$;
COMMENT ON FUNCTION audit._key_columns(regclass) IS 'internal: the columns that identify a row, in key order';

-- By size and not by a query: that needs no right to the table and no policy hides anything from it.
CREATE FUNCTION audit._is_empty(target regclass) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(sum(pg_relation_size(r.relation)), 0) = 0
    FROM (SELECT _is_empty.target UNION SELECT p.relid FROM pg_partition_tree(target) p) r(relation)
$body$;
COMMENT ON FUNCTION audit._is_empty(regclass) IS
    'internal: whether the table has no rows, not even dead ones';

-- A name that fits into 63 bytes: a longer one is cut at a whole character and ends in a hash of the full
-- name.
CREATE FUNCTION audit._fit_name(full_name text) RETURNS name
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE
        WHEN octet_length(full_name) <= 63 THEN full_name
        ELSE (SELECT left(full_name, cut.characters)
              FROM generate_series(54, 1, -1) cut(characters)
              WHERE octet_length(left(full_name, cut.characters)) <= 54
              LIMIT 1) || '_' || left(md5(full_name), 8)
    END::name
$body$;
COMMENT ON FUNCTION audit._fit_name(text) IS 'internal: shortens a trigger name to what the server can hold';

CREATE FUNCTION audit._check_exists(target regclass, called text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF target IS NULL THEN
        RAISE EXCEPTION 'target must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('SELECT audit.%I(''schema_name.table_name'');', called);
    ELSIF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = target) THEN
        RAISE EXCEPTION 'relation with OID % does not exist', target::oid
            USING ERRCODE = 'undefined_table',
                  HINT = format('SELECT audit.%I(''schema_name.table_name'');', called);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_exists(regclass, text) IS
    'internal: refuses null and the number of no table; the hint repeats the call';

CREATE FUNCTION audit._check_owner(target regclass) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    owner constant oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = target);
BEGIN
    IF NOT pg_has_role(owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', target
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As its owner: SET ROLE %s; then repeat.', owner::regrole);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_owner(regclass) IS 'internal: refuses a table of another owner';

CREATE FUNCTION audit._check_trackable(target regclass) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.enable_tracking(''schema_name.table_name'');';
    relation pg_class;
    kind text;
    tracked_as regclass;
BEGIN
    SELECT c.* INTO relation FROM pg_class c WHERE c.oid = target;
    kind := CASE relation.relkind
        WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
        WHEN 'i' THEN 'an index' WHEN 'I' THEN 'an index' WHEN 'S' THEN 'a sequence'
        WHEN 'c' THEN 'a composite type' WHEN 't' THEN 'a TOAST table' END;
    IF relation.relkind IN ('i', 'I', 'S', 'c', 't') THEN
        RAISE EXCEPTION '% is %: only tables can be tracked', target, kind
            USING ERRCODE = 'wrong_object_type', HINT = retry;
    ELSIF target::oid < 16384
          OR relation.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN
        RAISE EXCEPTION '% is a system catalogue: it cannot be tracked', target
            USING ERRCODE = 'wrong_object_type', HINT = retry;
    ELSIF relation.relnamespace = 'audit'::regnamespace THEN
        RAISE EXCEPTION '% belongs to audit_guard: it cannot be tracked', target
            USING ERRCODE = 'wrong_object_type', HINT = retry;
    ELSIF relation.relkind IN ('v', 'm', 'f') THEN
        RAISE EXCEPTION '% is %: only tables can be tracked', target, kind
            USING ERRCODE = 'feature_not_supported',
                  HINT = CASE WHEN relation.relkind = 'f' THEN 'Track it on the server that holds the data: '
                              ELSE 'Track the tables behind it: ' END || retry;
    ELSIF relation.relpersistence = 't' THEN
        RAISE EXCEPTION '% is a temporary table: it cannot be tracked', target
            USING ERRCODE = 'feature_not_supported', HINT = retry;
    END IF;

    tracked_as := audit._tracked_as(target);
    IF tracked_as <> target THEN
        RAISE EXCEPTION '% is a partition of %, which is tracked', target, tracked_as
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Its rows are logged already. To change options: '
                                'SELECT audit.enable_tracking(%L);', tracked_as::text);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_trackable(regclass) IS 'internal: refuses what is not a user''s table';

-- The first name of a list that is no column of the table is an error; so is a null.
CREATE FUNCTION audit._check_columns(target regclass, option text, names text[]) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    columns constant text[] := ARRAY(
        SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum);
    wanted text;
BEGIN
    IF names IS NULL OR array_position(names, NULL) IS NOT NULL THEN
        RAISE EXCEPTION '% of % must not be or contain null', option, target
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('SELECT audit.enable_tracking(%L, %s => ''{}'');', target::text, option);
    END IF;
    FOREACH wanted IN ARRAY names LOOP
        IF wanted <> ALL (columns) THEN
            RAISE EXCEPTION '%: column "%" of % does not exist', option, wanted, target
                USING ERRCODE = 'undefined_column',
                      HINT = format('Columns of %s: %s', target, array_to_string(columns, ', '));
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._check_columns(regclass, text, text[]) IS
    'internal: refuses names that are no columns of the table';

-- Reads a setting that only a superuser may change; the library that defines it must be loaded first, because
-- until then anybody could have set a value of that name.
CREATE FUNCTION audit._default_tenant(target regclass, hidden text[]) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM audit.version();
    RETURN (
        SELECT a.attname
        FROM string_to_table(
                 coalesce(current_setting('audit_guard.tenant_columns', true),
                          'tenant_id,community_id,ws_id,workspace_id,org_id,organization_id'),
                 ',') WITH ORDINALITY listed(name, place)
        JOIN pg_attribute a ON a.attname = btrim(listed.name) AND a.attrelid = target AND a.attnum > 0
                               AND NOT a.attisdropped
        WHERE a.attname <> ALL (hidden)
        ORDER BY listed.place
        LIMIT 1);
END
$body$;
COMMENT ON FUNCTION audit._default_tenant(regclass, text[]) IS
    'internal: the first of audit_guard.tenant_columns that the table has and that is not hidden';
