-- Purpose: removes what has expired, one bounded step per call, each with a certificate.
-- Who may call: audit_admin; the rest is internal, and nothing here can be borrowed for anything else.
-- Relies on: 33_retention.sql, 21_guard_events.sql; when they are called, on 40_partitions.sql.

CREATE FUNCTION audit._note_clock() RETURNS void
LANGUAGE sql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    INSERT INTO audit.retention_state (relation) VALUES ('')
    ON CONFLICT ON CONSTRAINT retention_state_pkey DO UPDATE SET last_run_at = clock_timestamp()
$body$;
COMMENT ON FUNCTION audit._note_clock() IS 'internal: notes that the clock was found right just now';

-- A pass goes through a table once, in as many steps as it takes; after the end a new one begins.
CREATE FUNCTION audit._begin_step(relation text) RETURNS audit.retention_state
LANGUAGE sql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    INSERT INTO audit.retention_state AS s (relation) VALUES (_begin_step.relation)
    ON CONFLICT ON CONSTRAINT retention_state_pkey DO UPDATE
        SET started_at = CASE WHEN s.finished_at IS NULL THEN s.started_at ELSE clock_timestamp() END,
            steps = CASE WHEN s.finished_at IS NULL THEN s.steps ELSE 0 END,
            rows_removed = CASE WHEN s.finished_at IS NULL THEN s.rows_removed ELSE 0 END,
            next_partition = CASE WHEN s.finished_at IS NULL THEN s.next_partition END,
            next_block = CASE WHEN s.finished_at IS NULL THEN s.next_block ELSE 0 END,
            blocks_done = CASE WHEN s.finished_at IS NULL THEN s.blocks_done ELSE 0 END,
            finished_at = NULL
    RETURNING s.*
$body$;
COMMENT ON FUNCTION audit._begin_step(text) IS 'internal: where the present pass through a table has come to';

CREATE FUNCTION audit._certify_leaf(leaf_oid text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET intervalstyle = 'iso_8601'
AS $body$
DECLARE
    candidate constant regclass := leaf_oid::oid::regclass;
    parent constant regclass := audit._stream_of(candidate);
    own record;
    facts jsonb;
BEGIN
    IF parent IS NOT NULL AND parent <> candidate AND audit._stream_retention(parent) IS NOT NULL THEN
        -- Nobody places a hold or adds a row between here and the end of the leaf.
        LOCK TABLE audit.holds IN ROW SHARE MODE;
        PERFORM audit._run_with_retries(
            ARRAY[format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', candidate)],
            'SELECT * FROM audit.apply_retention();');
        SELECT l.*, s.timestamp_column INTO own
        FROM audit._expired_leaves(parent) l
        JOIN audit._stream_policies() s ON s.stream = parent
        WHERE l.leaf = candidate AND NOT l.is_held AND l.waits_for IS NULL;
    END IF;
    IF own IS NULL OR audit._clock_problem() IS NOT NULL THEN
        RAISE EXCEPTION '% is no leaf that may go now', candidate
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT * FROM audit.retention_plan();';
    END IF;
    EXECUTE format('SELECT jsonb_build_object(''rows'', count(*), ''oldest'', min(%1$I), ''newest'', max(%1$I)) '
                   'FROM %2$s', own.timestamp_column, candidate) INTO facts;
    RETURN audit._record_event(
        'partition_expired', parent::text, NULL,
        facts || jsonb_build_object('leaf', candidate::text, 'from', own.lower_bound, 'to', own.upper_bound,
                                    'retention', audit._stream_retention(parent)::text));
END
$body$;
COMMENT ON FUNCTION audit._certify_leaf(text) IS
    'internal: writes the certificate of a leaf that is about to go, if it may; returns its number';

CREATE FUNCTION audit._certify_rows(target_oid text, facts text) RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT audit._record_event('rows_expired', target_oid::oid::regclass::text, NULL, facts::jsonb)::text
$body$;
COMMENT ON FUNCTION audit._certify_rows(text, text) IS
    'internal: writes the certificate of expired rows that were removed; returns its number';

-- Behind a leaf that is gone, no time may be without one. When the past leaf ends where it began, that one
-- takes its place; else a leaf without rows does.
CREATE FUNCTION audit._close_gap(
    stream regclass, leaf_name text, lower_bound timestamptz, upper_bound timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    literal constant text := 'YYYY-MM-DD HH24:MI:SS+00';
    past record;
BEGIN
    SELECT l.leaf, c.relname INTO past
    FROM audit._leaves(stream) l JOIN pg_class c ON c.oid = l.leaf
    WHERE l.lower_bound IS NULL AND l.upper_bound = _close_gap.lower_bound;
    IF FOUND THEN
        PERFORM audit._rebound_leaf(stream, past.leaf, past.relname, NULL, upper_bound);
    ELSE
        PERFORM audit._make_leaf(
            stream, leaf_name,
            format('FROM (%s) TO (%L)', coalesce(quote_literal(to_char(lower_bound, literal)), 'MINVALUE'),
                   to_char(upper_bound, literal)));
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._close_gap(regclass, text, timestamptz, timestamptz) IS
    'internal: covers the span of time of a leaf that was dropped';

CREATE FUNCTION audit._drop_next_leaf(stream regclass) RETURNS audit.retention_item
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own record;
    facts jsonb;
    item audit.retention_item;
BEGIN
    SELECT l.leaf, l.lower_bound, l.upper_bound, l.leaf::text AS qualified, c.relname INTO own
    FROM audit._expired_leaves(stream) l JOIN pg_class c ON c.oid = l.leaf
    WHERE l.leaf = audit._next_leaf(stream);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    item.certificate_id := audit._drop_leaf(own.leaf);
    PERFORM audit._close_gap(stream, own.relname, own.lower_bound, own.upper_bound);
    SELECT e.detail INTO facts FROM audit.guard_events e WHERE e.id = item.certificate_id;
    item.relation := stream::text;
    item.kind := 'stream';
    item.retention := audit._stream_retention(stream);
    item.oldest := facts ->> 'oldest';
    item.newest := facts ->> 'newest';
    item.rows_expired := facts ->> 'rows';
    item.rows_held := 0;
    item.action := 'dropped ' || own.qualified;
    item.more := true;
    PERFORM audit._begin_step(stream::text);
    UPDATE audit.retention_state s
    SET last_run_at = clock_timestamp(), steps = s.steps + 1, last_action = item.action,
        rows_removed = s.rows_removed + item.rows_expired,
        finished_at = CASE WHEN audit._next_leaf(stream) IS NULL THEN clock_timestamp() END
    WHERE s.relation = stream::text;
    RETURN item;
END
$body$;
COMMENT ON FUNCTION audit._drop_next_leaf(regclass) IS
    'internal: drops the next expired leaf of a stream; null when there is none';

-- A row that other rows refer to, by a foreign key that would refuse, stays until those are gone.
CREATE FUNCTION audit._unreferenced_condition(part regclass) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(string_agg(format('NOT EXISTS (SELECT FROM %s AS f WHERE %s)', k.conrelid::regclass,
                                      k.pairs), ' AND '), 'true')
    FROM (SELECT k.conrelid,
                 string_agg(format('r.%I OPERATOR(%I.%s) f.%I', one.attname, n.nspname, o.oprname,
                                   other.attname), ' AND ' ORDER BY c.place) AS pairs
          FROM pg_constraint k
          CROSS JOIN LATERAL unnest(k.confkey, k.conkey, k.conpfeqop) WITH ORDINALITY c(one, other, op, place)
          JOIN pg_attribute one ON one.attrelid = k.confrelid AND one.attnum = c.one
          JOIN pg_attribute other ON other.attrelid = k.conrelid AND other.attnum = c.other
          JOIN pg_operator o ON o.oid = c.op
          JOIN pg_namespace n ON n.oid = o.oprnamespace
          JOIN pg_class here ON here.oid = k.confrelid
          JOIN pg_class there ON there.oid = k.conrelid
          WHERE k.confrelid = part AND k.contype = 'f' AND k.confdeltype IN ('a', 'r')
            -- What the owner may not read, only the key itself can judge.
            AND has_table_privilege(here.relowner, there.oid, 'SELECT')
            AND has_schema_privilege(here.relowner, there.relnamespace, 'USAGE')
          GROUP BY k.oid, k.conrelid) k
$body$;
COMMENT ON FUNCTION audit._unreferenced_condition(regclass) IS
    'internal: the condition in SQL under which no foreign key keeps a row r';

-- One batch. Rows that another session has locked wait for the next pass.
CREATE FUNCTION audit._delete_query(
    part regclass, timestamp_column name, expired text, block_range text, max_rows integer)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('DELETE FROM ONLY %1$s AS r WHERE r.ctid = ANY (ARRAY(SELECT r.ctid FROM ONLY %1$s AS r '
                  'WHERE %2$s AND %3$s AND NOT (%4$s) AND %5$s %6$s LIMIT %7$s FOR UPDATE OF r SKIP LOCKED))',
                  part, block_range, expired,
                  coalesce(nullif(audit._hold_condition(part::oid::text), ''), 'false'),
                  audit._unreferenced_condition(part),
                  CASE WHEN block_range = 'true' THEN format('ORDER BY r.%I', timestamp_column) ELSE '' END,
                  max_rows)
$body$;
COMMENT ON FUNCTION audit._delete_query(regclass, name, text, text, integer) IS
    'internal: the DELETE of one batch of expired rows that are neither held nor referred to';

-- Not by an advisory lock: those are open to everybody.
CREATE FUNCTION audit._is_alone() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM audit.retention_state s WHERE s.relation = '') THEN
        INSERT INTO audit.retention_state (relation, last_run_at) VALUES ('', '-infinity');
    END IF;
    PERFORM FROM audit.retention_state s WHERE s.relation = '' FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END
$body$;
COMMENT ON FUNCTION audit._is_alone() IS
    'internal: whether no other session applies retention, to the end of the transaction';

-- For retention_progress only: it says which table a session is at.
CREATE FUNCTION audit._show_at(target regclass) RETURNS void
LANGUAGE sql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT pg_try_advisory_xact_lock('audit.retention_state'::regclass::oid::bigint::bit(32)::integer,
                                     target::oid::bigint::bit(32)::integer)
$body$;
COMMENT ON FUNCTION audit._show_at(regclass) IS 'internal: makes visible which table retention is at';

-- Without an index on its time a table is looked through block by block, so that no step lasts long; a large
-- one once a day, because an expired row may wait that long.
CREATE FUNCTION audit._is_due(target regclass, timestamp_column name) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT NOT EXISTS (SELECT FROM audit.retention_state s
                       WHERE s.relation = target::text AND s.finished_at > now() - interval '1 day')
           OR audit._blocks(target) <= 16384
           OR (SELECT bool_and(audit._leads_to_oldest(p.part, timestamp_column)) FROM audit._parts(target) p(part))
$body$;
COMMENT ON FUNCTION audit._is_due(regclass, name) IS
    'internal: whether a protected table has to be looked through again';

-- Goes on where the step before it stopped, until rows were removed or enough blocks were read. What cannot
-- be removed, because a trigger or a key of the user's refuses, is passed over until the next time.
CREATE FUNCTION audit._delete_batch(
    target regclass, retention interval, timestamp_column name, time_type regtype, max_rows integer,
    INOUT block_budget bigint, OUT certificate_id bigint, OUT removed bigint, OUT obstacle text,
    OUT is_finished boolean)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $body$
DECLARE
    expired constant text := audit._expired_condition(retention, timestamp_column, time_type);
    state audit.retention_state;
    part record;
    stops_at bigint;
BEGIN
    removed := 0;
    is_finished := true;
    state := audit._begin_step(target::text);
    FOR part IN
        SELECT p.part, p.part::text COLLATE "C" AS name, audit._blocks(p.part) AS blocks,
               audit._leads_to_oldest(p.part, timestamp_column) AS is_indexed
        FROM audit._parts(target) p(part)
        WHERE state.next_partition IS NULL OR p.part::text >= state.next_partition
        ORDER BY 2
    LOOP
        IF part.name IS DISTINCT FROM state.next_partition THEN
            state.next_partition := part.name;
            state.next_block := 0;
        END IF;
        WHILE state.next_block < part.blocks LOOP
            IF removed > 0 OR block_budget <= 0 THEN
                is_finished := false;
                EXIT;
            END IF;
            stops_at := CASE WHEN part.is_indexed THEN part.blocks
                             ELSE least(part.blocks, state.next_block + block_budget) END;
            BEGIN
                certificate_id := audit._delete_expired(target, audit._delete_query(
                    part.part, timestamp_column, expired,
                    CASE WHEN part.is_indexed THEN 'true'
                         ELSE format('r.ctid >= ''(%s,0)'' AND r.ctid < ''(%s,0)''', state.next_block,
                                     stops_at) END,
                    max_rows));
                removed := coalesce((SELECT (e.detail ->> 'rows')::bigint FROM audit.guard_events e
                                     WHERE e.id = certificate_id), 0);
            EXCEPTION WHEN OTHERS THEN
                obstacle := format('%s in %s', SQLSTATE, part.name);
            END;
            block_budget := block_budget - CASE WHEN part.is_indexed THEN 1
                                                ELSE stops_at - state.next_block END;
            -- A full batch may have left some.
            IF removed < max_rows THEN
                state.blocks_done := state.blocks_done + stops_at - state.next_block;
                state.next_block := stops_at;
            END IF;
        END LOOP;
        EXIT WHEN NOT is_finished;
    END LOOP;
    UPDATE audit.retention_state s
    SET last_run_at = clock_timestamp(), finished_at = CASE WHEN is_finished THEN clock_timestamp() END,
        steps = s.steps + 1, rows_removed = s.rows_removed + removed, next_partition = state.next_partition,
        next_block = state.next_block, blocks_done = state.blocks_done,
        last_action = CASE WHEN obstacle IS NOT NULL THEN 'passed over: ' || obstacle
                           ELSE format('deleted %s rows', removed) END
    WHERE s.relation = target::text;
END
$body$;
COMMENT ON FUNCTION audit._delete_batch(regclass, interval, name, regtype, integer, bigint) IS
    'internal: removes one batch of expired rows of a user''s table, and notes how far it came';

CREATE FUNCTION audit._check_apply(max_rows integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    problem text;
BEGIN
    IF max_rows IS NULL THEN
        RAISE EXCEPTION 'max_rows must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'SELECT * FROM audit.apply_retention();';
    ELSIF max_rows NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'max_rows must be between 1 and 1000000'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT * FROM audit.apply_retention();';
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- What is held must be known as it is now, not as it was when the transaction began.
        RAISE EXCEPTION 'apply_retention does not run in a % transaction',
            current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction',
                  HINT = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED; '
                         'SELECT * FROM audit.apply_retention();';
    END IF;
    problem := audit._clock_problem();
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'nothing is removed: %', problem
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'If it is right after all: SELECT audit.confirm_clock(''why'');';
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_apply(integer) IS
    'internal: refuses to remove anything with wrong arguments, an old snapshot or a clock that is not believed';

CREATE FUNCTION audit.apply_retention(max_rows integer DEFAULT 10000) RETURNS SETOF audit.retention_item
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    own record;
    batch record;
    item audit.retention_item;
    nothing audit.retention_item;
    has_acted boolean := false;
    block_budget bigint := 16384;
BEGIN
    nothing.more := false;
    PERFORM audit._check_apply(max_rows);
    IF NOT audit._is_alone() THEN
        nothing.action := 'another session is at it';
        RETURN NEXT nothing;
        RETURN;
    END IF;
    nothing.action := CASE
        WHEN audit._is_archived_first()
        THEN 'kept: audit_guard.archive_before_drop is on, and nothing more of it was exported'
        ELSE 'nothing' END;
    -- Holds wait until this step is done.
    LOCK TABLE audit.holds IN ROW SHARE MODE;
    FOR own IN
        SELECT p.target FROM audit._protected() p
        WHERE p.is_stream AND p.retention IS NOT NULL AND EXISTS (SELECT FROM audit._streams() s
                                                                  WHERE s.stream = p.target)
        ORDER BY p.target::text
    LOOP
        item := audit._drop_next_leaf(own.target);
        IF item.more THEN
            PERFORM audit._note_clock();
            RETURN NEXT item;
            RETURN;
        END IF;
    END LOOP;

    FOR own IN
        SELECT p.* FROM audit._protected() p
        LEFT JOIN audit.retention_state s ON s.relation = p.target::text
        WHERE NOT p.is_stream AND p.retention IS NOT NULL AND p.timestamp_column IS NOT NULL
          -- Exports have rows of streams only.
          AND NOT audit._is_archived_first() AND audit._is_due(p.target, p.timestamp_column)
        ORDER BY s.last_run_at NULLS FIRST, p.target::text, p.trigger_id
    LOOP
        PERFORM audit._show_at(own.target);
        SELECT b.* INTO batch
        FROM audit._delete_batch(own.target, own.retention, own.timestamp_column, own.time_type, max_rows,
                                 block_budget) b;
        block_budget := batch.block_budget;
        item := (own.target::text, 'table', own.retention, NULL, NULL, batch.removed, NULL,
                 CASE WHEN batch.removed > 0 THEN format('deleted %s rows', batch.removed)
                      WHEN batch.obstacle IS NOT NULL THEN 'passed over: ' || batch.obstacle
                      ELSE 'looked through a part' END,
                 nullif(batch.certificate_id, 0), batch.removed > 0 OR NOT batch.is_finished);
        SELECT (e.detail ->> 'oldest')::timestamptz, (e.detail ->> 'newest')::timestamptz
        INTO item.oldest, item.newest
        FROM audit.guard_events e WHERE e.id = item.certificate_id;
        IF item.more OR batch.obstacle IS NOT NULL THEN
            RETURN NEXT item;
            has_acted := true;
        END IF;
        EXIT WHEN item.more;
    END LOOP;
    PERFORM audit._note_clock();
    IF NOT has_acted THEN
        RETURN NEXT nothing;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit.apply_retention(integer) IS
    'one step of retention, in one short transaction: drops one expired leaf of a stream as a whole, or deletes '
    'one batch of expired rows of a protected table; what is held stays. Returns what was done; call it again '
    'while more is true';
