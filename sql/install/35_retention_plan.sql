-- Purpose: shows what has expired, what stays because of a hold, what retention would do next and has done.
-- Who may call: audit_reader and audit_admin; functions with an underscore are internal.
-- Relies on: 33_retention.sql, 34_apply_retention.sql.

CREATE FUNCTION audit._survey_table(
    target regclass, retention interval, timestamp_column name, time_type regtype,
    OUT oldest timestamptz, OUT newest timestamptz, OUT rows_expired bigint, OUT rows_held bigint)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    held constant text := coalesce(nullif(audit._hold_condition(target::oid::text), ''), 'false');
    found jsonb;
BEGIN
    IF time_type IS NULL OR retention IS NULL THEN
        RETURN;
    END IF;
    found := audit._read_as_owner(target, format(
        'SELECT jsonb_build_object(''oldest'', (SELECT min(r.%1$I) FROM %2$s AS r), '
        '''newest'', (SELECT max(r.%1$I) FROM %2$s AS r), '
        '''expired'', (SELECT count(*) FROM %2$s AS r WHERE %3$s AND NOT (%4$s)), '
        '''held'', (SELECT count(*) FROM %2$s AS r WHERE %3$s AND (%4$s)))::text',
        timestamp_column,
        (SELECT CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END || c.oid::regclass
         FROM pg_class c WHERE c.oid = target),
        audit._expired_condition(retention, timestamp_column, time_type), held));
    oldest := found ->> 'oldest';
    newest := found ->> 'newest';
    rows_expired := found ->> 'expired';
    rows_held := found ->> 'held';
END
$body$;
COMMENT ON FUNCTION audit._survey_table(regclass, interval, name, regtype) IS
    'internal: how old a protected table of a user is, and how much of it has expired or is held';

CREATE FUNCTION audit._survey_stream(
    stream regclass, timestamp_column name,
    OUT oldest timestamptz, OUT newest timestamptz, OUT rows_expired bigint, OUT rows_held bigint)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    part record;
    counted bigint;
BEGIN
    rows_expired := 0;
    rows_held := 0;
    newest := audit._newest_of_stream(stream, timestamp_column);
    oldest := audit._oldest(stream);
    FOR part IN SELECT l.* FROM audit._expired_leaves(stream) l WHERE l.has_rows LOOP
        EXECUTE format('SELECT count(*) FROM %s', part.leaf) INTO counted;
        IF part.is_held THEN
            rows_held := rows_held + counted;
        ELSE
            rows_expired := rows_expired + counted;
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._survey_stream(regclass, name) IS
    'internal: how old a stream is, and how much of it has expired; a leaf with a held row stays as a whole';

-- Whoever may see the list of protected tables may see how old they are.
CREATE FUNCTION audit._oldest(target regclass) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
DECLARE
    own record;
    query constant text := 'SELECT min(r.%I)::text FROM %s%s AS r';
    part regclass;
    oldest timestamptz;
BEGIN
    SELECT p.is_stream, p.timestamp_column, c.relkind = 'p' AS is_partitioned INTO own
    FROM audit._protected() p JOIN pg_class c ON c.oid = p.target
    WHERE p.target = _oldest.target
    ORDER BY p.trigger_id LIMIT 1;
    IF own.timestamp_column IS NULL THEN
        RETURN NULL;
    ELSIF NOT own.is_stream THEN
        RETURN audit._read_as_owner(target, format(
            query, own.timestamp_column, CASE WHEN own.is_partitioned THEN '' ELSE 'ONLY ' END, target));
    END IF;
    -- Leaf by leaf: the first one that has rows has the oldest.
    FOR part IN
        SELECT target WHERE NOT own.is_partitioned
        UNION ALL
        SELECT l.leaf FROM audit._own_leaves(target) l
    LOOP
        EXECUTE format(query, own.timestamp_column, 'ONLY ', part) INTO oldest;
        EXIT WHEN oldest IS NOT NULL;
    END LOOP;
    RETURN oldest;
END
$body$;
COMMENT ON FUNCTION audit._oldest(regclass) IS 'internal: the oldest time in a protected table';

CREATE FUNCTION audit.retention_plan() RETURNS SETOF audit.retention_item
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own record;
    survey record;
    item audit.retention_item;
    clock_problem constant text := 'refused: ' || audit._clock_problem();
    stopped text;
    next_leaf regclass;
    waits_for text;
BEGIN
    FOR own IN SELECT p.* FROM audit._protected() p ORDER BY NOT p.is_stream, p.target::text, p.trigger_id LOOP
        next_leaf := CASE WHEN own.is_stream AND own.retention IS NOT NULL THEN audit._next_leaf(own.target) END;
        waits_for := CASE WHEN own.is_stream AND own.retention IS NOT NULL
                          THEN (SELECT l.waits_for FROM audit._expired_leaves(own.target) l
                                WHERE l.waits_for IS NOT NULL LIMIT 1) END;
        stopped := coalesce(
            clock_problem,
            CASE WHEN next_leaf IS NULL THEN 'kept: ' || waits_for END,
            CASE WHEN NOT own.is_stream AND audit._is_archived_first()
                 THEN 'kept: audit_guard.archive_before_drop is on, and exports have rows of streams only' END);
        IF own.is_stream THEN
            SELECT s.* INTO survey FROM audit._survey_stream(own.target, own.timestamp_column) s;
        ELSE
            SELECT s.* INTO survey
            FROM audit._survey_table(own.target, own.retention, own.timestamp_column, own.time_type) s;
        END IF;
        item := (own.target::text, CASE WHEN own.is_stream THEN 'stream' ELSE 'table' END, own.retention,
                 survey.oldest, survey.newest, survey.rows_expired, survey.rows_held, NULL, NULL, NULL);
        item.more := coalesce(CASE WHEN own.is_stream THEN next_leaf IS NOT NULL
                                   ELSE survey.rows_expired > 0 END, false) AND stopped IS NULL;
        item.action := CASE
            WHEN own.is_stream AND own.retention IS NULL THEN 'kept for ever'
            WHEN own.retention IS NULL OR own.timestamp_column IS NULL
            THEN 'kept: the trigger that protects it cannot be read'
            WHEN next_leaf IS NULL AND coalesce(survey.rows_expired, 0) = 0
            THEN CASE WHEN survey.rows_held > 0 THEN 'nothing: what has expired is held' ELSE 'nothing' END
            WHEN stopped IS NOT NULL THEN stopped
            WHEN own.is_stream THEN format('drop %s', next_leaf)
            ELSE format('delete %s rows', survey.rows_expired) END;
        RETURN NEXT item;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit.retention_plan() IS
    'for each protected table, ours and those of users: how old it is, how many rows have expired, how many of '
    'them stay because of a hold, and what apply_retention would do';

CREATE VIEW audit.retention_progress AS
SELECT s.relation,
       l.pid,
       s.started_at,
       s.last_run_at,
       s.finished_at,
       s.steps,
       s.rows_removed,
       CASE WHEN t.is_ours THEN NULL ELSE audit._blocks(t.target) END AS blocks_total,
       CASE WHEN t.is_ours THEN NULL ELSE s.blocks_done END AS blocks_done,
       s.next_partition,
       s.last_action
FROM audit.retention_state s
-- Not to_regclass: whoever reads this need not be allowed to enter the schema of the table.
LEFT JOIN (SELECT format('%I.%I', n.nspname, c.relname), c.oid, n.nspname = 'audit'
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) t(relation, target, is_ours)
    ON t.relation = s.relation
-- Anybody may take such a lock; only our own functions write that table at the same time.
LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 2 AND l.objid = t.target
                        AND l.classid = 'audit.retention_state'::regclass
                        AND EXISTS (SELECT FROM pg_locks o
                                    WHERE o.pid = l.pid AND o.database = l.database
                                      AND o.relation = 'audit.retention_state'::regclass
                                      AND o.mode = 'RowExclusiveLock')
                        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
WHERE s.relation <> '';
COMMENT ON VIEW audit.retention_progress IS 'how far retention has come with each table that it has been at';
COMMENT ON COLUMN audit.retention_progress.relation IS 'the table';
COMMENT ON COLUMN audit.retention_progress.pid IS 'the session that is at it in this moment; null: none';
COMMENT ON COLUMN audit.retention_progress.started_at IS 'when the present pass through the table began';
COMMENT ON COLUMN audit.retention_progress.last_run_at IS 'when the last step was done';
COMMENT ON COLUMN audit.retention_progress.finished_at IS
    'when the pass reached the end of the table; null: in the middle of it';
COMMENT ON COLUMN audit.retention_progress.steps IS 'steps of the pass';
COMMENT ON COLUMN audit.retention_progress.rows_removed IS 'rows that were removed in the pass';
COMMENT ON COLUMN audit.retention_progress.blocks_total IS
    'size of the table now, in blocks; null for our own tables, of which partitions go as a whole';
COMMENT ON COLUMN audit.retention_progress.blocks_done IS 'blocks that the pass has behind it';
COMMENT ON COLUMN audit.retention_progress.next_partition IS 'the partition that the pass has come to';
COMMENT ON COLUMN audit.retention_progress.last_action IS 'what the last step did';
