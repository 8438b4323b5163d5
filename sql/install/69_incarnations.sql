-- Purpose: whether this database may go on sealing, and how somebody declares that it shall.
-- Who may call: audit_admin calls declare_discontinuity; the rest is internal.
-- Relies on: 67_ledger_tables.sql, 68_ledger_streams.sql, 68_sealing.sql; _run_with_retries of 40_partitions.sql.

-- Transaction numbers decide what is sealed, so it must be known that they are the same series. A row that was
-- written here has the number of its transaction in its header, one that was loaded from a dump has not.
CREATE FUNCTION audit._identity(OUT state text, OUT why text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own audit.ledger_incarnations;
    here constant bigint := (SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database());
    cluster constant bigint := (SELECT c.system_identifier FROM pg_control_system() c);
    reached constant xid8 := pg_snapshot_xmax(pg_current_snapshot());
    is_physical boolean;
    last_seen xid8;
BEGIN
    SELECT i.* INTO own FROM audit.ledger_incarnations i ORDER BY i.incarnation DESC LIMIT 1;
    IF NOT FOUND THEN
        state := 'none';
        RETURN;
    END IF;
    SELECT s.xmin::text::bigint = s.transaction_id & 4294967295, pg_snapshot_xmax(s.snapshot)
    INTO is_physical, last_seen
    FROM (SELECT n.xmin, n.* FROM audit.seals n ORDER BY n.seal_no DESC LIMIT 1) s
    WHERE s.incarnation = own.incarnation;
    -- A life that was declared and has sealed nothing yet.
    IF NOT FOUND THEN
        SELECT i.xmin::text::bigint = i.transaction_id & 4294967295, pg_snapshot_xmax(i.start_snapshot)
        INTO is_physical, last_seen
        FROM audit.ledger_incarnations i WHERE i.incarnation = own.incarnation;
    END IF;
    why := CASE
        WHEN NOT is_physical THEN 'the seals were loaded from a dump or copied row by row'
        WHEN own.database_oid <> here THEN 'this database is a copy of the one that sealed last'
        WHEN reached < last_seen THEN 'transaction numbers are behind those that were sealed'
        END;
    state := CASE WHEN why IS NOT NULL THEN 'foreign'
                  WHEN own.system_identifier <> cluster THEN 'upgraded'
                  ELSE 'same' END;
END
$body$;
COMMENT ON FUNCTION audit._identity() IS
    'internal: whether this is the database that sealed last: none (nothing was sealed), same, upgraded (by '
    'pg_upgrade), or foreign and why';

CREATE FUNCTION audit._begin_incarnation(kind text, reason text, start_snapshot pg_snapshot, floors jsonb)
RETURNS audit.ledger_incarnations
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    last audit.ledger_incarnations;
    own audit.ledger_incarnations;
BEGIN
    SELECT i.* INTO last FROM audit.ledger_incarnations i ORDER BY i.incarnation DESC LIMIT 1;
    SELECT c.system_identifier, d.oid INTO own.system_identifier, own.database_oid
    FROM pg_control_system() c, pg_database d WHERE d.datname = current_database();
    -- The library that defines the setting must be loaded first: until then anybody could have set the name.
    PERFORM audit.version();
    own.incarnation := coalesce(last.incarnation, 0) + 1;
    own.origin := CASE WHEN kind = 'upgraded' THEN last.origin
                       ELSE coalesce(nullif(current_setting('audit_guard.ledger_origin', true), ''),
                                     format('audit_guard/%s/%s', own.system_identifier, own.database_oid))
                            || CASE WHEN own.incarnation > 1 THEN '/' || own.incarnation ELSE '' END END;
    INSERT INTO audit.ledger_incarnations AS i
        (incarnation, origin, kind, system_identifier, database_oid, reason, first_seal, start_snapshot, floors,
         transaction_id)
    SELECT own.incarnation, own.origin, _begin_incarnation.kind, own.system_identifier, own.database_oid,
           _begin_incarnation.reason, coalesce(max(s.seal_no), 0) + 1, _begin_incarnation.start_snapshot,
           _begin_incarnation.floors, pg_current_xact_id()::text::bigint
    FROM audit.seals s
    RETURNING i.* INTO own;
    IF kind = 'upgraded' THEN
        PERFORM audit._record_event('ledger_continued', own.origin, NULL,
                                    jsonb_build_object('incarnation', own.incarnation));
    END IF;
    RETURN own;
END
$body$;
COMMENT ON FUNCTION audit._begin_incarnation(text, text, pg_snapshot, jsonb) IS
    'internal: writes the entry of an incarnation that begins now';

CREATE FUNCTION audit._number_sequence(target regclass, number_column text) RETURNS regclass
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(pg_get_serial_sequence(target::text, number_column)::regclass,
                    (SELECT d.refobjid::regclass
                     FROM pg_attribute a
                     JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
                     JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
                                         AND d.refclassid = 'pg_class'::regclass
                     JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'S'
                     WHERE a.attrelid = target AND a.attname = number_column))
$body$;
COMMENT ON FUNCTION audit._number_sequence(regclass, text) IS
    'internal: the sequence that numbers the rows of a stream';

-- From here on the rows of a stream have higher numbers than all that are there.
CREATE FUNCTION audit._raise_floor(target regclass, number_column text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    sequence constant regclass := audit._number_sequence(target, number_column);
    floor bigint;
BEGIN
    EXECUTE format('SELECT greatest(max(r.%I), (SELECT q.last_value FROM %s q), 0) FROM %s r', number_column,
                   sequence, target) INTO floor;
    PERFORM setval(sequence, floor);
    RETURN floor;
END
$body$;
COMMENT ON FUNCTION audit._raise_floor(regclass, text) IS
    'internal: moves the sequence of a stream beyond all of its rows, and returns the last number in use';

-- Rows that no seal has: what was loaded, and what was written after the last seal of the old database.
CREATE FUNCTION audit._note_unsealed(incarnation integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    noted bigint;
BEGIN
    EXECUTE format(
        'INSERT INTO audit.ledger_unsealed (incarnation, stream_no, transaction_id, number) '
        'SELECT $1, r.stream_no, r.transaction_id, r.number FROM (%s) r '
        -- Leaves have numbers of transactions from 0 on; others are found when it is verified.
        'WHERE r.transaction_id > 0 '
        '  AND NOT EXISTS (SELECT FROM (SELECT e.* FROM audit.seals s '
        '                               CROSS JOIN LATERAL audit._entries(s.seal_no) e) e '
        '                  WHERE e.stream_no = r.stream_no AND e.transaction_id = r.transaction_id '
        '                    AND e.number = r.number) '
        'ON CONFLICT DO NOTHING',
        (SELECT string_agg(format('SELECT %s::smallint AS stream_no, t.transaction_id, t.%I AS number '
                                  'FROM %I.%I t', s.stream_no, s.number_column, s.table_schema, s.table_name),
                           ' UNION ALL ' ORDER BY s.stream_no)
         FROM audit.ledger_streams s))
    USING incarnation;
    GET DIAGNOSTICS noted = ROW_COUNT;
    RETURN noted;
END
$body$;
COMMENT ON FUNCTION audit._note_unsealed(integer) IS
    'internal: notes all rows that no seal has, for the batch that will seal them; returns how many';

-- A transaction is missing from its own snapshot, and would count as one that has ended.
CREATE FUNCTION audit._snapshot_before_me() RETURNS pg_snapshot
LANGUAGE sql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN me.id >= pg_snapshot_xmax(now.snapshot) THEN now.snapshot
                ELSE format('%s:%s:%s', least(pg_snapshot_xmin(now.snapshot), me.id),
                            pg_snapshot_xmax(now.snapshot),
                            (SELECT string_agg(x.id::text, ',' ORDER BY x.id)
                             FROM (SELECT pg_snapshot_xip(now.snapshot) UNION SELECT me.id) x(id)))::pg_snapshot
                END
    FROM (SELECT pg_current_xact_id()) me(id), (SELECT pg_current_snapshot()) now(snapshot)
$body$;
COMMENT ON FUNCTION audit._snapshot_before_me() IS
    'internal: the transactions that have ended, of which the present one is none';

CREATE FUNCTION audit.declare_discontinuity(reason text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.declare_discontinuity(''why'');';
    here record;
    floors jsonb;
    own audit.ledger_incarnations;
    noted bigint;
BEGIN
    PERFORM audit._check_reason(reason, retry);
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'a standby does not seal'
            USING ERRCODE = 'read_only_sql_transaction', HINT = 'On the primary: ' || retry;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'declare_discontinuity does not run in a % transaction',
            current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction',
                  HINT = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ' || retry;
    END IF;
    -- Neither a row nor a seal is written between what is noted here and the end of this transaction.
    PERFORM audit._run_with_retries(
        ARRAY[format('LOCK TABLE audit.seals, %s IN SHARE ROW EXCLUSIVE MODE',
                     (SELECT string_agg(format('%I.%I', s.table_schema, s.table_name), ', ' ORDER BY s.stream_no)
                      FROM audit.ledger_streams s))], retry);
    SELECT p.* INTO here FROM audit._ledger_position() p;
    SELECT jsonb_object_agg(s.stream_no, audit._raise_floor(format('%I.%I', s.table_schema, s.table_name)::regclass,
                                                            s.number_column))
    INTO floors
    FROM audit.ledger_streams s;
    -- Sessions have drawn numbers of audit_log in advance.
    PERFORM audit._forget_ids();
    own := audit._begin_incarnation('declared', reason, audit._snapshot_before_me(), floors);
    noted := audit._note_unsealed(own.incarnation);
    PERFORM audit._record_event(
        'discontinuity_declared', own.origin, reason,
        jsonb_build_object(
            'incarnation', own.incarnation, 'floors', own.floors, 'start_snapshot', own.start_snapshot,
            'origin_before', here.origin, 'size', here.size,
            'root', encode(here.root, 'base64'), 'unsealed_rows', noted,
            'checkpoint', (SELECT jsonb_build_object('origin', c.origin, 'size', c.size,
                                                     'root', encode(c.root, 'base64'))
                           FROM audit.checkpoints c ORDER BY c.size DESC, c.id DESC LIMIT 1)));
    PERFORM audit._resume_sealing();
    RETURN own.origin;
END
$body$;
COMMENT ON FUNCTION audit.declare_discontinuity(text) IS
    'lets sealing go on in a database that is not the one that sealed last (restored, copied), or after old rows '
    'were loaded: all rows without a seal are sealed first, under a new name of the tree, which is returned';

-- A choice of whoever runs the server, until it has begun: from then on, rows that nobody seals are a fault.
CREATE FUNCTION audit._ledger_health() RETURNS SETOF audit.health_item
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    allowed_delay constant interval := '10 minutes';
    here constant record := audit._ledger_position();
    sealed_at constant text := to_char(here.sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"');
    rows record;
    identity record;
    item audit.health_item;
BEGIN
    identity := audit._identity();
    item.check_name := 'ledger';
    IF identity.state = 'foreign' THEN
        item.ok := false;
        item.detail := format('sealed last at %s, in another database: %s', sealed_at, identity.why);
        item.fix := 'SELECT audit.declare_discontinuity(''restored from the backup of ...'');';
        RETURN NEXT item;
        item.check_name := 'identity';
        item.detail := 'this database is not the one that sealed last: ' || identity.why;
        RETURN NEXT item;
        RETURN;
    END IF;
    rows := audit._unsealed();
    item.ok := here.size = 0 OR rows.waiting = 0 OR rows.oldest_at > clock_timestamp() - allowed_delay;
    item.detail := CASE
        WHEN here.size = 0
        THEN format('nothing is sealed yet, rows without a seal: %s; the worker of the preloaded library seals by '
                    'itself, else: SELECT audit.seal();', rows.waiting)
        WHEN rows.waiting = 0 THEN format('all rows are sealed, the last at %s', sealed_at)
        ELSE format('rows without a seal: %s, first %s, for %s seconds; sealed last at %s', rows.waiting,
                    rows.first_row,
                    greatest(round(extract(epoch FROM clock_timestamp() - rows.oldest_at)), 0), sealed_at) END
        || CASE WHEN audit._is_preloaded() THEN '; the worker seals by itself' ELSE '' END;
    item.fix := CASE WHEN NOT item.ok THEN 'SELECT audit.seal();' END;
    RETURN NEXT item;
    item.check_name := 'identity';
    item.ok := true;
    item.detail := CASE identity.state
        WHEN 'none' THEN 'nothing is sealed yet'
        WHEN 'upgraded' THEN 'this server was upgraded; sealing goes on'
        ELSE 'this database is the one that sealed last' END;
    item.fix := NULL;
    RETURN NEXT item;
END
$body$;
COMMENT ON FUNCTION audit._ledger_health() IS 'internal: the lines of health() about the ledger';

CREATE FUNCTION audit._ledger_state() RETURNS audit.guard_state
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    item record;
    gap record;
    state audit.guard_state;
BEGIN
    SELECT g.* INTO gap
    FROM audit._ledger_tables() t CROSS JOIN LATERAL audit._stream_gap(t) g
    WHERE g.why IS NOT NULL ORDER BY t::text LIMIT 1;
    SELECT h.* INTO item FROM audit._ledger_health() h ORDER BY h.ok LIMIT 1;
    state.level := 1;
    state.part := 'ledger';
    state.in_force := gap.why IS NULL AND item.ok AND EXISTS (SELECT FROM audit.seals);
    state.why := coalesce(gap.why, item.detail);
    state.fix := CASE WHEN NOT state.in_force THEN coalesce(gap.fix, item.fix, 'SELECT audit.seal();') END;
    RETURN state;
END
$body$;
COMMENT ON FUNCTION audit._ledger_state() IS
    'internal: the line of guard_status() about the ledger: whether what is there is also sealed';
