-- Purpose: builds the indexes on actor and tenant on request.
-- Who may call: audit_admin.
-- Relies on: 40_partitions.sql.

-- An index inside a function cannot be built CONCURRENTLY: while that of a leaf is built, and until the
-- transaction ends, changes that would be logged there wait. So the leaf that is being written comes last. One
-- that stands there already, built CONCURRENTLY by hand under its name, is taken over.
CREATE FUNCTION audit.index_log(actor boolean DEFAULT false, tenant boolean DEFAULT false) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    stream constant regclass := 'audit.audit_log';
    retry constant text := format('SELECT * FROM audit.index_log(actor => %s, tenant => %s);',
                                  actor::text, tenant::text);
    chosen text[] := '{}';
    wanted record;
    is_valid boolean;
BEGIN
    IF actor IS NULL OR tenant IS NULL THEN
        RAISE EXCEPTION 'actor and tenant must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT * FROM audit.index_log(actor => true, tenant => true);';
    ELSIF NOT (actor OR tenant) THEN
        RAISE EXCEPTION 'no index chosen: actor or tenant must be true'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT * FROM audit.index_log(actor => true, tenant => true);';
    END IF;
    IF actor THEN
        chosen := chosen || 'actor_idx'::text;
    END IF;
    IF tenant THEN
        chosen := chosen || 'tenant_idx'::text;
    END IF;
    IF NOT EXISTS (SELECT FROM audit._leaves(stream)) THEN
        PERFORM audit.maintain_partitions();
    END IF;
    -- Nobody makes a leaf meanwhile, which would not know of the choice.
    PERFORM audit._run_with_retries(
        ARRAY[format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', stream)], retry);
    FOR wanted IN
        SELECT l.leaf, format('%s_%s', c.relname, i.suffix) AS name, i.definition
        FROM audit._leaves(stream) l
        JOIN pg_class c ON c.oid = l.leaf
        CROSS JOIN LATERAL audit._leaf_indexes(stream, chosen) i
        WHERE i.suffix = ANY (chosen)
        ORDER BY tstzrange(l.lower_bound, l.upper_bound) @> clock_timestamp(), l.lower_bound NULLS FIRST,
                 i.suffix
    LOOP
        SELECT i.indisvalid INTO is_valid
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
        WHERE i.indrelid = wanted.leaf AND x.relname = wanted.name;
        IF is_valid THEN
            CONTINUE;
        ELSIF NOT is_valid THEN
            RAISE EXCEPTION 'index audit.% is invalid: building it was interrupted', quote_ident(wanted.name)
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('REINDEX INDEX CONCURRENTLY audit.%I; %s', wanted.name, retry);
        END IF;
        PERFORM audit._run_with_retries(
            ARRAY[format('CREATE INDEX %I ON %s %s', wanted.name, wanted.leaf, wanted.definition)], retry);
        RETURN NEXT format('audit.%I', wanted.name);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit.index_log(boolean, boolean) IS
    'indexes the log by actor, by tenant, or by both, on every partition and on those to come; returns what it '
    'made; each makes every logged row that has such a value dearer, and while the present month is indexed, '
    'changes wait';
