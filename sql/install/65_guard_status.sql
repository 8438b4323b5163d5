-- Purpose: says what of the guard is in force, why not, and with which command it is mended.
-- Who may call: everybody calls guard_status; audit_reader, audit_admin and audit_officer see protected_tables.
-- Relies on: 24_policies.sql, 32_holds.sql, 35_retention_plan.sql, 40_partitions.sql.

-- Judged by the catalogue: a trigger fires for every row, always, on the table and on each partition.
CREATE FUNCTION audit._fires_always(relation oid, function_id oid, row_events integer, statement_events integer)
RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT count(*) = 2
    FROM (VALUES (1, row_events), (0, statement_events)) wanted(level, events)
    WHERE EXISTS (SELECT FROM pg_trigger t
                  WHERE t.tgrelid = relation AND t.tgfoid = function_id AND t.tgenabled = 'A'
                    AND t.tgtype & 1 = wanted.level AND t.tgtype & wanted.events = wanted.events
                    AND t.tgqual IS NULL AND t.tgattr = '')
$body$;
COMMENT ON FUNCTION audit._fires_always(oid, oid, integer, integer) IS
    'internal: whether a table has a row trigger and a statement trigger of a function, both always on, for '
    'these events (as in pg_trigger.tgtype)';

CREATE FUNCTION audit._writers(relation oid) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT string_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ')
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = relation AND a.grantee <> c.relowner
      AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
$body$;
COMMENT ON FUNCTION audit._writers(oid) IS
    'internal: the roles that were granted to write a table, or to attach triggers to it; null: none';

CREATE FUNCTION audit._stream_gap(stream regclass, OUT why text, OUT fix text)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    guard constant oid := 'audit.prevent_modification()'::regprocedure;
    part record;
BEGIN
    FOR part IN
        SELECT c.oid::regclass AS relation, c.relowner <> 'audit_owner'::regrole AS is_foreign,
               audit._writers(c.oid) AS writers,
               EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = guard
                                                  AND t.tgenabled <> 'A') AS is_weak,
               EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = guard
                                                  AND t.tgtype & 1 = 1) AS has_row_trigger
        FROM (SELECT stream AS relid UNION SELECT p.relid FROM pg_partition_tree(stream) p) r
        JOIN pg_class c ON c.oid = r.relid
        -- Rows 8 + 16: UPDATE, DELETE. Statements also 4 and 32: INSERT, TRUNCATE.
        WHERE NOT audit._fires_always(c.oid, guard, 24, 60) OR c.relowner <> 'audit_owner'::regrole
           OR audit._writers(c.oid) IS NOT NULL
        ORDER BY c.oid <> stream, c.oid::regclass::text
        LIMIT 1
    LOOP
        IF part.is_foreign THEN
            why := format('%s does not belong to audit_owner', part.relation);
            fix := format('ALTER TABLE %s OWNER TO audit_owner;', part.relation);
        ELSIF part.writers IS NOT NULL THEN
            why := format('somebody may write to %s', part.relation);
            fix := format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON %s FROM %s;', part.relation,
                          part.writers);
        ELSIF part.is_weak THEN
            why := format('triggers of %s do not always fire', part.relation);
            fix := 'SELECT audit.repair_tracking();';
        ELSE
            why := format('triggers of %s are missing', part.relation);
            fix := format('CREATE TRIGGER %1$s ON %2$s FOR EACH %3$s EXECUTE FUNCTION '
                          'audit.prevent_modification(); ALTER TABLE %2$s ENABLE ALWAYS TRIGGER %4$s;',
                          CASE WHEN part.has_row_trigger
                               THEN 'immutable_statement BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE'
                               ELSE 'immutable_row BEFORE UPDATE OR DELETE' END, part.relation,
                          CASE WHEN part.has_row_trigger THEN 'STATEMENT' ELSE 'ROW' END,
                          CASE WHEN part.has_row_trigger THEN 'immutable_statement' ELSE 'immutable_row' END);
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION audit._stream_gap(regclass) IS
    'internal: why an append-only table of ours is not fully guarded; null when it is';

-- A column that has another name now is known by its number.
CREATE FUNCTION audit._renamed_back(trigger_id oid) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('ALTER TABLE %s RENAME %I TO %I;', t.tgrelid::regclass, a.attname, w.wanted[1])
    FROM pg_trigger t
    CROSS JOIN LATERAL unnest(audit._trigger_values(t.oid)) v(argument)
    CROSS JOIN LATERAL regexp_match(v.argument, '^timestamp=(.*)#([0-9]+)@([0-9]+)$') w(wanted)
    JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum::text = w.wanted[2] AND NOT a.attisdropped
    WHERE t.oid = trigger_id AND w.wanted[3] = t.tgrelid::text AND a.attname <> w.wanted[1]
$body$;
COMMENT ON FUNCTION audit._renamed_back(oid) IS
    'internal: the command that gives the column of a protected table its name again; null when it is gone';

-- BEFORE triggers fire in the order of their names: one behind ours could change what ours has looked at.
CREATE FUNCTION audit._table_gap(target regclass, OUT why text, OUT fix text)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $body$
DECLARE
    guard constant oid := 'audit.enforce_retention()'::regprocedure;
    tree constant oid[] := ARRAY(SELECT target::oid UNION SELECT p.relid FROM pg_partition_tree(target) p);
    own record;
    again text;
    part text;
    heirs text;
    heir text;
    later record;
    rule record;
BEGIN
    SELECT p.retention, p.timestamp_column, r.trigger_id, r.trigger_name, t.tgtype & 2 = 2 AS is_before INTO own
    FROM audit._retention_triggers(target) r
    JOIN pg_trigger t ON t.oid = r.trigger_id
    CROSS JOIN LATERAL audit._policy(r.trigger_id) p
    WHERE r.is_row AND NOT r.is_clone
    ORDER BY r.trigger_id LIMIT 1;
    IF NOT FOUND THEN
        why := CASE WHEN target IS NULL THEN 'the table is gone, or has another name'
                    ELSE 'its triggers are gone' END;
        RETURN;
    END IF;
    again := format('%L, %L);', own.retention, own.timestamp_column);
    -- Rows 4 + 8 + 16: INSERT, UPDATE, DELETE. Statements 16 + 32: UPDATE, TRUNCATE.
    SELECT string_agg(r.relid::regclass::text, ', ' ORDER BY r.relid::regclass::text) INTO part
    FROM unnest(tree) r(relid)
    WHERE NOT audit._fires_always(r.relid, guard, 28, 48);
    SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text),
           min(i.inhrelid::regclass::text)
    INTO heirs, heir
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = target AND NOT c.relispartition AND audit._protected_as(c.oid) IS NULL;
    SELECT w.rulename, w.ev_class::regclass AS relation INTO rule
    FROM pg_rewrite w WHERE w.ev_class = ANY (tree) ORDER BY w.rulename LIMIT 1;
    SELECT t.tgname, t.tgrelid::regclass AS relation INTO later
    FROM pg_trigger t
    WHERE own.is_before AND t.tgrelid = ANY (tree) AND t.tgparentid = 0 AND t.tgtype & 3 = 3
      AND t.tgtype & 12 <> 0 AND t.tgfoid <> guard AND t.tgname > own.trigger_name
    ORDER BY t.tgname LIMIT 1;

    IF own.retention IS NULL THEN
        why := 'the arguments of its trigger cannot be read';
    ELSIF own.timestamp_column IS NULL THEN
        why := 'the column that says how old a row is cannot be found';
        fix := audit._renamed_back(own.trigger_id);
    ELSIF part IS NOT NULL THEN
        why := format('triggers are missing, or do not always fire: %s', part);
        fix := format('SELECT audit.protect(%L, ', target::text) || again;
    ELSIF rule.rulename IS NOT NULL THEN
        why := 'a rule may put another statement in the place of one';
        fix := format('DROP RULE %I ON %s;', rule.rulename, rule.relation);
    ELSIF later.tgname IS NOT NULL THEN
        why := 'another trigger may change a row after ours has looked at it';
        fix := format('ALTER TRIGGER %I ON %s RENAME TO %I;', later.tgname, later.relation,
                      audit._fit_name('app_' || later.tgname));
    ELSIF heirs IS NOT NULL THEN
        why := format('tables that inherit from it are not protected: %s', heirs);
        fix := format('SELECT audit.protect(%L, ', heir) || again;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._table_gap(regclass) IS
    'internal: why a protected table of a user is not fully protected; null when it is';

CREATE VIEW audit.protected_tables AS
SELECT n.nspname::text AS table_schema,
       c.relname::text AS table_name,
       p.target,
       p.is_stream,
       p.retention,
       p.timestamp_column::text AS timestamp_column,
       audit._oldest(p.target) AS oldest,
       (SELECT count(*) FROM audit.active_holds h WHERE h.target = p.target) AS holds,
       CASE WHEN p.is_stream THEN (audit._stream_gap(p.target)).why ELSE (audit._table_gap(p.target)).why END
           IS NULL AS is_in_force
FROM audit._protected() p
JOIN pg_class c ON c.oid = p.target
JOIN pg_namespace n ON n.oid = c.relnamespace;
COMMENT ON VIEW audit.protected_tables IS
    'the tables whose rows are kept, ours and those of users, and for how long';
COMMENT ON COLUMN audit.protected_tables.table_schema IS 'schema of the table';
COMMENT ON COLUMN audit.protected_tables.table_name IS 'name of the table';
COMMENT ON COLUMN audit.protected_tables.target IS 'the table';
COMMENT ON COLUMN audit.protected_tables.is_stream IS 'whether it is one of our own append-only tables';
COMMENT ON COLUMN audit.protected_tables.retention IS 'how long a row stays; null: for ever';
COMMENT ON COLUMN audit.protected_tables.timestamp_column IS 'the column that says how old a row is';
COMMENT ON COLUMN audit.protected_tables.oldest IS 'the oldest row that there is';
COMMENT ON COLUMN audit.protected_tables.holds IS 'how many holds are in force on it';
COMMENT ON COLUMN audit.protected_tables.is_in_force IS
    'whether the triggers that protect it are all there and on; guard_status says why not';

-- Tables are found by their triggers, and those that have lost them by what was written down about them.
CREATE FUNCTION audit._table_states() RETURNS SETOF audit.guard_state
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $body$
    SELECT 1, CASE WHEN p.is_stream THEN 'stream' ELSE 'table' END, p.target::text, g.why IS NULL,
           coalesce(g.why, CASE WHEN p.is_stream AND p.retention IS NULL THEN 'append-only, kept for ever'
                                WHEN p.is_stream THEN format('append-only, kept for %s', p.retention)
                                ELSE format('rows stay for %s after %I', p.retention, p.timestamp_column) END),
           g.fix
    FROM audit._protected() p
    CROSS JOIN LATERAL (SELECT s.why, s.fix FROM audit._stream_gap(p.target) s WHERE p.is_stream
                        UNION ALL
                        SELECT t.why, t.fix FROM audit._table_gap(p.target) t WHERE NOT p.is_stream) g
    UNION ALL
    SELECT 1, 'table', lost.object, false, g.why,
           CASE WHEN lost.target IS NOT NULL
                THEN format('SELECT audit.protect(%L, %L, %L);', lost.object, lost.retention,
                            lost.timestamp_column) END
    FROM (SELECT DISTINCT ON (q.table_schema, q.table_name) q.retention, q.timestamp_column,
                 format('%I.%I', q.table_schema, q.table_name) AS object, c.oid::regclass AS target
          FROM audit.guard_policies q
          LEFT JOIN pg_namespace n ON n.nspname = q.table_schema
          LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = q.table_name
          ORDER BY q.table_schema, q.table_name, q.id DESC) lost
    CROSS JOIN LATERAL audit._table_gap(lost.target) g
    WHERE lost.target IS NULL OR NOT EXISTS (SELECT FROM audit._protected() p WHERE p.target = lost.target)
    ORDER BY 2, 3
$body$;
COMMENT ON FUNCTION audit._table_states() IS
    'internal: the lines of guard_status() about protected tables';

-- Rows that a forgotten prepared transaction deleted or inserted are neither there nor gone, and nothing goes
-- on behind it.
CREATE FUNCTION audit._prepared_states() RETURNS SETOF audit.guard_state
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 1, 'prepared transaction', x.gid, false,
           format('prepared by %I %s hours ago and not ended since', x.owner,
                  (extract(epoch FROM now() - x.prepared) / 3600)::bigint),
           format('ROLLBACK PREPARED %L;', x.gid)
    FROM pg_prepared_xacts x
    WHERE x.database = current_database() AND x.prepared < now() - interval '1 hour'
    ORDER BY x.gid
$body$;
COMMENT ON FUNCTION audit._prepared_states() IS
    'internal: the lines of guard_status() about prepared transactions that nobody ended';

CREATE FUNCTION audit._event_trigger_state() RETURNS audit.guard_state
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    -- The setting exists since version 17.
    SELECT 2, 'event triggers', NULL, bool_and(e.evtenabled = 'A') AND s.is_on,
           CASE WHEN NOT s.is_on THEN 'the server runs no event triggers'
                WHEN bool_and(e.evtenabled = 'A')
                THEN 'commands that would weaken the guard are refused, except where a superuser switches this '
                     'off first'
                ELSE 'event triggers that do not always fire: '
                     || string_agg(e.evtname, ', ' ORDER BY e.evtname) FILTER (WHERE e.evtenabled <> 'A') END,
           CASE WHEN NOT s.is_on THEN 'ALTER SYSTEM SET event_triggers = on; SELECT pg_reload_conf();'
                ELSE string_agg(format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', e.evtname), ' ' ORDER BY e.evtname)
                     FILTER (WHERE e.evtenabled <> 'A') END
    FROM pg_event_trigger e
    JOIN pg_proc p ON p.oid = e.evtfoid AND p.pronamespace = 'audit'::regnamespace
    CROSS JOIN (SELECT coalesce(current_setting('event_triggers', true), 'on')::boolean) s(is_on)
    GROUP BY s.is_on
$body$;
COMMENT ON FUNCTION audit._event_trigger_state() IS 'internal: the line of guard_status() about level 2';

CREATE FUNCTION audit._lockdown() RETURNS text
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'lockdown_wrapper';
COMMENT ON FUNCTION audit._lockdown() IS 'internal: not preloaded, off, on or strict';

CREATE FUNCTION audit._lockdown_state() RETURNS audit.guard_state
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 3, 'lockdown', NULL, l.state IN ('on', 'strict'),
           CASE l.state
               WHEN 'strict' THEN 'superusers are refused, too, and so are foreign code and changes of the '
                                  'guard''s own settings'
               WHEN 'on' THEN 'superusers are refused, too; audit_guard.lockdown = strict refuses foreign code'
               WHEN 'off' THEN 'switched off: a superuser can weaken all of it'
               ELSE 'the server did not load the library when it started: a superuser can weaken all of it' END,
           CASE l.state
               WHEN 'off' THEN 'ALTER SYSTEM SET audit_guard.lockdown = ''on''; then restart the server'
               WHEN 'not preloaded'
               THEN 'add audit_guard to shared_preload_libraries in postgresql.conf, then restart the server' END
    FROM audit._lockdown() l(state)
$body$;
COMMENT ON FUNCTION audit._lockdown_state() IS 'internal: the line of guard_status() about level 3';

CREATE FUNCTION audit._ownership_state() RETURNS audit.guard_state
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 1, 'ownership', 'audit_owner',
           m.members IS NULL AND NOT r.rolcanlogin AND NOT r.rolsuper AND lost.commands IS NULL,
           CASE WHEN m.members IS NOT NULL THEN 'roles that may act as audit_owner: ' || m.members
                WHEN r.rolcanlogin OR r.rolsuper THEN 'audit_owner may log in, or is a superuser'
                WHEN lost.commands IS NOT NULL
                THEN format('functions and views that do not belong to audit_owner: %s', lost.objects)
                ELSE 'nobody but superusers may act as the owner of the audit tables' END,
           CASE WHEN m.members IS NOT NULL THEN format('REVOKE audit_owner FROM %s;', m.members)
                WHEN r.rolcanlogin OR r.rolsuper THEN 'ALTER ROLE audit_owner NOLOGIN NOSUPERUSER;'
                ELSE lost.commands END
    FROM pg_roles r
    CROSS JOIN (SELECT string_agg(a.member::regrole::text, ', ' ORDER BY a.member::regrole::text)
                FROM pg_auth_members a WHERE a.roleid = 'audit_owner'::regrole) m(members)
    -- Tables have lines of their own.
    CROSS JOIN (SELECT count(*), string_agg(format('ALTER %s %s OWNER TO audit_owner;', o.kind, o.name), ' '
                                            ORDER BY o.kind, o.name)
                FROM (SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner FROM pg_proc p
                      WHERE p.pronamespace IN ('audit'::regnamespace, 'audit_api'::regnamespace)
                      UNION ALL
                      SELECT 'VIEW', c.oid::regclass::text, c.relowner FROM pg_class c
                      WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_api'::regnamespace)
                        AND c.relkind = 'v') o(kind, name, owner)
                WHERE o.owner <> 'audit_owner'::regrole) lost(objects, commands)
    WHERE r.rolname = 'audit_owner'
$body$;
COMMENT ON FUNCTION audit._ownership_state() IS
    'internal: the line of guard_status() about who owns the audit tables';

CREATE FUNCTION audit._supabase_state() RETURNS SETOF audit.guard_state
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT 1, 'grants', s.role, missing.roles IS NULL,
           CASE WHEN missing.roles IS NULL THEN format('%s may use the audit trail', s.role)
                ELSE format('%s is no member of %s', s.role, missing.roles) END,
           'GRANT ' || missing.roles || ' TO ' || s.role || ';'
    FROM (VALUES ('service_role', '{audit_reader,audit_writer}'::text[]),
                 ('supabase_auth_admin', '{audit_writer}')) s(role, wanted)
    -- One that does not inherit was granted the functions themselves.
    CROSS JOIN LATERAL (SELECT string_agg(w.role, ', ' ORDER BY w.role) FROM unnest(s.wanted) w(role)
                        WHERE NOT pg_has_role(s.role, w.role, 'MEMBER')) missing(roles)
    WHERE to_regrole(s.role) IS NOT NULL AND to_regrole('anon') IS NOT NULL
      AND to_regrole('authenticated') IS NOT NULL
      AND EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                  WHERE n.nspname = 'auth' AND p.proname = 'uid' AND p.pronargs = 0)
$body$;
COMMENT ON FUNCTION audit._supabase_state() IS
    'internal: the lines of guard_status() about the roles of Supabase, where there are any';

CREATE FUNCTION audit.guard_status() RETURNS SETOF audit.guard_state
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN QUERY SELECT s.* FROM audit._ownership_state() s;
    RETURN QUERY SELECT s.* FROM audit._table_states() s;
    RETURN QUERY SELECT s.* FROM audit._ledger_state() s;
    RETURN QUERY SELECT s.* FROM audit._prepared_states() s;
    RETURN QUERY SELECT s.* FROM audit._supabase_state() s;
    RETURN QUERY SELECT s.* FROM audit._event_trigger_state() s;
    RETURN QUERY SELECT s.* FROM audit._lockdown_state() s;
END
$body$;
COMMENT ON FUNCTION audit.guard_status() IS
    'what of the guard is in force, on which level and for which table, why not, and the command that mends it';
