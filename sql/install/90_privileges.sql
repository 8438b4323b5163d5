-- Purpose: what a dump carries, who owns what, who may do what.
-- Who may call: runs once, in CREATE EXTENSION, after everything that is owned and granted.
-- Relies on: all files before it.

-- Rows of these tables are data, not part of the extension: dumps carry them. The leaves of audit_log are no
-- members at all and travel as ordinary tables.
SELECT pg_extension_config_dump('audit.audit_log', '');
SELECT pg_extension_config_dump('audit.audit_log_id_seq', '');
SELECT pg_extension_config_dump('audit.guard_events', '');
SELECT pg_extension_config_dump('audit.maintenance_schedule', '');
SELECT pg_extension_config_dump('audit.tracked_schemas', '');
SELECT pg_extension_config_dump('audit.guard_policies', '');
SELECT pg_extension_config_dump('audit.holds', '');
SELECT pg_extension_config_dump('audit.hold_releases', '');
SELECT pg_extension_config_dump(
    pg_get_serial_sequence('audit.guard_policies', 'id')::regclass, '');
SELECT pg_extension_config_dump(pg_get_serial_sequence('audit.holds', 'id')::regclass, '');
SELECT pg_extension_config_dump('audit.user_sessions', '');
SELECT pg_extension_config_dump('audit.denied_attempts', '');
SELECT pg_extension_config_dump('audit.denied_attempts_id_seq', '');
SELECT pg_extension_config_dump('audit.security_events', '');
SELECT pg_extension_config_dump('audit.security_events_number_seq', '');
SELECT pg_extension_config_dump('audit.login_counters', '');
SELECT pg_extension_config_dump('audit.login_networks', '');
SELECT pg_extension_config_dump('audit.login_attempts', '');
SELECT pg_extension_config_dump('audit.login_allowlist', '');
SELECT pg_extension_config_dump(
    pg_get_serial_sequence('audit.guard_events', 'id')::regclass, '');

DO $ledger$
DECLARE
    own regclass;
BEGIN
    FOR own IN
        SELECT t.* FROM audit._ledger_tables() t
        UNION ALL
        SELECT pg_get_serial_sequence(s.name, 'id')::regclass
        FROM unnest('{audit.checkpoints,audit.verify_runs,audit.ledger_exports,audit.hold_releases}'::text[]) s(name)
    LOOP
        PERFORM pg_extension_config_dump(own, CASE WHEN own = 'audit.ledger_streams'::regclass
                                                   THEN 'WHERE NOT is_builtin' ELSE '' END);
    END LOOP;
END
$ledger$;

-- Ownership first, rights after it: then the rights that a dump compares with name the final owner.
DO $owner$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT CASE
            WHEN d.classid = 'pg_proc'::regclass
                THEN format('ALTER FUNCTION %s OWNER TO audit_owner',
                                       d.objid::regprocedure)
            WHEN d.classid = 'pg_type'::regclass
                THEN format('ALTER TYPE %s OWNER TO audit_owner', d.objid::regtype)
            WHEN c.relkind IN ('r', 'p') THEN format('ALTER TABLE %s OWNER TO audit_owner', c.oid::regclass)
            WHEN c.relkind = 'v' THEN format('ALTER VIEW %s OWNER TO audit_owner', c.oid::regclass)
            -- The sequence of an identity column follows its table.
            WHEN c.relkind = 'S' AND NOT EXISTS (
                SELECT FROM pg_depend o
                WHERE o.classid = d.classid AND o.objid = d.objid AND o.deptype = 'i')
                THEN format('ALTER SEQUENCE %s OWNER TO audit_owner', c.oid::regclass)
        END
        FROM pg_depend d
        JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'audit_guard'
        LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
        LEFT JOIN pg_class tc ON tc.oid = t.typrelid
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
          AND t.typelem IS NOT DISTINCT FROM CASE WHEN t.oid IS NOT NULL THEN 0 END
          AND (tc.oid IS NULL OR tc.relkind = 'c')
    LOOP
        IF command IS NOT NULL THEN
            EXECUTE command;
        END IF;
    END LOOP;
END
$owner$;

-- Default privileges of whoever installs must not open anything: start from nothing, for everybody.
DO $revoke$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('REVOKE ALL ON %s %s FROM %s CASCADE', o.kind, o.name,
                                 CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM (SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
                     c.oid::regclass::text AS name, c.relowner AS owner, c.relacl AS acl
              FROM pg_class c
              WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
              UNION ALL
              SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner,
                     coalesce(p.proacl, acldefault('f', p.proowner))
              FROM pg_proc p
              WHERE p.pronamespace = 'audit'::regnamespace) o
        CROSS JOIN LATERAL aclexplode(o.acl) a
        WHERE a.grantee <> o.owner
        GROUP BY o.kind, o.name, a.grantee
    LOOP
        EXECUTE command;
    END LOOP;
END
$revoke$;

GRANT USAGE ON SCHEMA audit TO PUBLIC;

-- Everybody: what a trigger needs, what declares and shows one's own context, what says how things are.
GRANT EXECUTE ON FUNCTION
    audit.log_changes(), audit.prevent_modification(), audit.prevent_audit_modification(),
    audit.set_context(text, uuid, inet, text, boolean, jsonb),
    audit.set_context(anyelement, uuid, inet, text, boolean, jsonb),
    audit.current_context(), audit.version(), audit.health(),
    audit.enforce_retention(), audit.guard_status()
    TO PUBLIC;

-- What policies ask about whoever reads.
GRANT EXECUTE ON FUNCTION
    audit.has_role(text), audit._person(), audit._own_tenant(), audit._claims(), audit._as_uuid(text),
    audit._claim_text(jsonb, text[]), audit._claim_paths(text)
    TO PUBLIC;

GRANT SELECT ON audit.audit_log, audit.changes, audit.guard_events, audit.tracked_tables TO audit_reader;
GRANT SELECT ON audit.audit_log_compat TO audit_reader;
GRANT SELECT ON audit.denied_attempts TO audit_reader;
GRANT SELECT ON audit.login_allowlist TO audit_reader, audit_admin;
GRANT EXECUTE ON FUNCTION
    audit.should_block_login(text, inet, integer, integer),
    audit.check_login(text, inet, integer, integer, text), audit.begin_login_attempt(text, inet, text),
    audit.finish_login_attempt(uuid, boolean, uuid, text)
    TO audit_writer;
GRANT EXECUTE ON FUNCTION
    audit.unlock_login(text, text), audit.unlock_network(cidr, text),
    audit.allow_network(cidr, text, timestamptz), audit.disallow_network(cidr, text),
    audit.rebuild_login_counters()
    TO audit_admin;
GRANT SELECT ON audit.security_events TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.log_security_event(audit.security_event_type, text, uuid, uuid, jsonb, text, text, text, text, text, inet,
                             text, text)
    TO audit_writer;
GRANT SELECT ON
    audit.user_sessions, audit.active_sessions, audit.suspicious_sessions, audit.sessions_by_user
    TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.create_user_session(uuid, inet, jsonb, text, text, bytea, text),
    audit.update_session_activity(uuid), audit.validate_session(uuid, inet, text, bytea),
    audit.terminate_session(uuid, text), audit.terminate_all_sessions(uuid, text, uuid, text),
    audit.expire_sessions(integer)
    TO audit_writer;
-- Jobs run as the admin that scheduled them.
GRANT EXECUTE ON FUNCTION
    audit.expire_sessions(integer), audit.purge_sessions(interval, integer), audit.clear_suspicion(uuid, text)
    TO audit_admin;
-- Views ask it with the rights of whoever reads them.
GRANT EXECUTE ON FUNCTION audit._session_ends(timestamptz, interval, timestamptz) TO PUBLIC;
GRANT SELECT ON audit.security_events TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.log_security_event(audit.security_event_type, text, uuid, uuid, jsonb, text, text, text, text, text, inet,
                             text, text)
    TO audit_writer;
GRANT EXECUTE ON FUNCTION
    audit.record_history(regclass, text, integer), audit.record_history(regclass, anyelement, integer),
    audit.transaction_changes(bigint),
    audit._record_key(regclass, text), audit._tracked_as(regclass), audit._own_triggers(regclass),
    audit._key_columns(regclass), audit._tracking_state(oid),
    audit._filled_spans(regclass, name, name), audit._span_condition(name, tstzmultirange),
    audit._history_rows(text, text, text, timestamptz, timestamptz, integer),
    audit._table_names(regclass)
    TO audit_reader;

GRANT EXECUTE ON FUNCTION
    audit.record_as_of(regclass, text, timestamptz), audit.record_as_of(regclass, anyelement, timestamptz),
    audit._tracking_events(regclass), audit._options_at(regclass, timestamptz),
    audit._truncatable(regclass), audit._tracked_spans(regclass), audit._known_span(regclass, timestamptz),
    audit._truncations(regclass, timestamptz, timestamptz),
    audit._truncated_rows_logged(regclass, audit.audit_log),
    audit._record_events(regclass, text, timestamptz, timestamptz), audit._key_definition(regclass),
    audit._key_image(regclass, text), audit._partition_now(regclass, text),
    audit._in_partition(regclass, text, jsonb),
    audit._check_row_security(regclass), audit._hidden_columns(regclass, timestamptz),
    audit._live_image(regclass, jsonb, timestamptz), audit._is_whole(jsonb, text[], text[]),
    audit._record_state(regclass, text, jsonb, timestamptz, tstzrange, timestamptz[]),
    audit._logged_table(regclass),
    audit.table_as_of(anyelement, timestamptz), audit._log_condition(regclass, timestamptz, timestamptz),
    audit._key_expression(regclass), audit._way_to(regclass, timestamptz, tstzrange, timestamptz[]),
    audit._as_of_query(regclass, regclass, timestamptz, tstzrange, timestamptz[]),
    audit._parts_condition(regclass, regclass, jsonb),
    audit.undo_sql(bigint), audit._table_now(text, text, timestamptz),
    audit._check_undo(regclass, bigint, bigint[]), audit._undo_query(regclass, bigint[]),
    audit._undo_frame(regclass[], bigint)
    TO audit_reader;

GRANT SELECT ON audit.tracked_schemas TO audit_reader;
GRANT SELECT ON audit.maintenance_schedule TO audit_reader;
GRANT SELECT ON audit.tracked_tables, audit.tracked_schemas TO audit_admin;
GRANT EXECUTE ON FUNCTION
    audit.schedule_maintenance(text), audit._schedule_with_cron(text), audit._remember_maintenance(text),
    audit._maintenance_schedule(), audit._maintains_here(), audit._next_run(text)
    TO audit_admin;
GRANT EXECUTE ON FUNCTION
    audit.enable_tracking(regclass, text[], text[], name, text, boolean, boolean),
    audit.disable_tracking(regclass, text), audit.maintain_partitions(integer),
    audit.enable_tracking_schema(name, boolean, text[]), audit.disable_tracking_schema(name, text),
    audit.repair_tracking(regclass), audit._renew_tracking(regclass), audit._repair_streams(),
    audit._check_schema(name, text), audit._remember_schema(name, text[]), audit._forget_schema(name, text),
    audit.index_log(boolean, boolean),
    audit.begin_restore(text), audit.import_history(regclass, text, timestamptz), audit._import_known(text),
    audit._import_begin(text, regclass, jsonb), audit._import_rows(text, audit._import_row[]),
    audit._import_layout(text), audit._import_relation(regclass, text, text),
    audit._import_query(regclass, text), audit._pgmemento_keys(oid[]),
    audit._import_part(regclass), audit._import_security(regclass, text, timestamptz),
    audit._import_security_known(text, uuid[], timestamptz, timestamptz),
    audit._import_security_begin(text, regclass, bigint, timestamptz, timestamptz),
    audit._import_events(audit.security_events[]), audit._import_sessions(audit.user_sessions[]),
    audit._record_event(text, text, text, jsonb), audit._check_exists(regclass, text),
    audit._check_owner(regclass),
    audit._check_trackable(regclass), audit._check_columns(regclass, text, text[]),
    audit._check_options(regclass, text[], text[], name, text, boolean, boolean),
    audit._clear_the_way(regclass, name, name[]), audit._row_trigger_command(regclass, name, text),
    audit._truncatable(regclass), audit._truncate_commands(regclass), audit._always_commands(regclass),
    audit._execute(text[]), audit._default_tenant(regclass, text[]),
    audit._describe_tracking(regclass, text, integer, integer, text, boolean, boolean), audit._fit_name(text),
    audit._is_empty(regclass),
    audit._key_columns(regclass), audit._own_triggers(regclass), audit._tracked_as(regclass),
    audit._tracking_state(oid), audit._option_names(oid),
    audit._trigger_arguments(regclass, text[], text[], text, text, boolean, boolean)
    TO audit_admin;

-- Who keeps what, and how far retention has come: without rows of users, and for all who decide about it.
GRANT SELECT ON audit.guard_policies, audit.holds, audit.hold_releases TO audit_reader;
GRANT SELECT ON audit.holds, audit.hold_releases TO audit_officer;
GRANT SELECT ON audit.protected_tables, audit.active_holds, audit.retention_progress
    TO audit_reader, audit_admin, audit_officer;
GRANT EXECUTE ON FUNCTION
    audit._protected(), audit._oldest(regclass), audit._stream_gap(regclass), audit._table_gap(regclass),
    audit._stream_policies(), audit._stream_retention(regclass), audit._stream_of(regclass),
    audit._length_in_days(interval, integer, integer), audit._is_retention(interval),
    audit._time_type(oid), audit._trigger_values(oid), audit._policy(oid),
    audit._retention_triggers(regclass), audit._protected_as(regclass), audit._changes_rows(regclass),
    audit._fires_always(oid, oid, integer, integer), audit._renamed_back(oid), audit._fit_name(text),
    audit._writers(oid),
    audit._parts(regclass), audit._blocks(regclass)
    TO audit_reader, audit_admin, audit_officer;
GRANT EXECUTE ON FUNCTION audit.retention_plan() TO audit_reader, audit_admin;
GRANT EXECUTE ON FUNCTION
    audit.place_hold(regclass, text, text[], text, text, timestamptz, timestamptz),
    audit.release_hold(bigint, text)
    TO audit_officer;
GRANT EXECUTE ON FUNCTION
    audit.protect(regclass, interval, name), audit.extend_retention(regclass, interval),
    audit.apply_retention(integer), audit.confirm_clock(text),
    audit._check_protectable(regclass), audit._check_retention(regclass, interval, text),
    audit._compare_retention(interval, interval), audit._choose_timestamp(regclass, name),
    audit._protect_row_command(regclass, name, interval, name), audit._protect_statement_commands(regclass),
    audit._protect_always_commands(regclass), audit._notice_protection(regclass),
    audit._refuse_shorter(regclass, interval, interval), audit._record_protection(regclass),
    audit._extend_protection(regclass, interval), audit._extend_stream(regclass, interval)
    TO audit_admin;

-- The ledger. Everything that a verifier elsewhere needs can be read with SELECT.
GRANT EXECUTE ON FUNCTION
    audit.tree_head(), audit.checkpoint(bigint), audit.consistency(bigint, bigint),
    audit.verify_receipt(jsonb, text), audit._verify_receipt(jsonb, text), audit.wait_sealed(bigint, interval)
    TO PUBLIC;
GRANT SELECT ON
    audit.ledger_streams, audit.ledger_schemas, audit.ledger_incarnations, audit.seals, audit.ledger_subtrees,
    audit.ledger_unsealed, audit.checkpoints, audit.ledger_keys, audit.ledger_key_withdrawals, audit.verify_runs,
    audit.ledger_exports
    TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.verify(text, timestamptz, timestamptz, text, integer), audit.verify_incremental(bigint, text),
    audit.explain_row(text, text), audit.explain_row(text, anyelement), audit.proof(text, text),
    audit.proof(text, anyelement), audit.receipt(text, text, text[]), audit.receipt(text, anyelement, text[]),
    audit._tree_root(bigint), audit._inclusion_path(bigint, bigint), audit._open_note(text, text[]),
    audit._verify_range(text, timestamptz, timestamptz, bigint, text, integer, bytea),
    audit._check_verify(text, timestamptz, timestamptz, integer), audit._check_stream(text),
    audit._run_slices(bigint[], bigint[], text, timestamptz, timestamptz, integer),
    audit._slices_query(bigint[], bigint[]), audit._slices(bigint, bigint, timestamptz, timestamptz),
    audit._verify_slice(bigint, bigint, text, timestamptz, timestamptz), audit._entries(bigint),
    audit._is_authorised(text, text, text), audit._is_beginning(bigint, bytea, bigint, bytea),
    audit._check_checkpoint(audit.checkpoints, boolean, boolean, bigint, bigint, timestamptz, timestamptz),
    audit._check_stored(), audit._check_structure(bigint), audit._check_outsiders(text), audit._check_pruned(jsonb),
    audit._acknowledged_gaps(bigint, bigint), audit._closing_rows(), audit._leaves_of_origin(text),
    audit._sum_up(jsonb, boolean, boolean, bigint, bigint, audit.checkpoints, jsonb, jsonb, bigint, bigint),
    audit._note_run(text, bigint, bigint, bytea, text, bigint), audit._read_note(text, text),
    audit._trusted_keys(), audit._unsealed(), audit._readable_streams(), audit._floor(jsonb, smallint),
    audit._moment(text)
    TO audit_reader;
GRANT EXECUTE ON FUNCTION audit.import_checkpoint(text) TO audit_writer;
GRANT EXECUTE ON FUNCTION
    audit.seal(), audit.declare_discontinuity(text), audit.trust_key(text, text), audit.withdraw_key(text, text),
    audit.record_export(bigint, bigint, bytea, text)
    TO audit_admin;
GRANT EXECUTE ON FUNCTION
    audit.redact(text, text, text[], text, text), audit.redact(text, anyelement, text[], text, text),
    audit.redact_subject(text, text[], text, text, integer)
    TO audit_officer;

-- For superusers. Granted, so that an admin is told so in words, and not only that the call is refused.
GRANT EXECUTE ON FUNCTION
    audit.install_compat(name, text[], boolean), audit.remove_compat(name), audit._check_compat(name, text)
    TO audit_admin;
