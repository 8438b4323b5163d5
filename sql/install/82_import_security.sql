-- Purpose: takes over the security events and sessions that the earlier code recorded.
-- Who may call: audit_admin, with SELECT on the source, by import_history.
-- Relies on: 70_import.sql, 71_import_formats.sql, 77_security_events.sql, 78_sessions.sql.
--
-- As for changes of rows: the source is read with the rights of the caller, and finished rows are handed to
-- what writes them.

CREATE FUNCTION audit._import_part(source regclass) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce((
        SELECT l.relation
        FROM audit._import_layout('colony') l
        LEFT JOIN pg_attribute a ON a.attrelid = source AND a.attname = l.column_name AND a.attnum > 0
                                    AND NOT a.attisdropped
        WHERE l.relation <> '' AND l.is_needed
        GROUP BY l.relation HAVING bool_and(a.attname IS NOT NULL)
        ORDER BY l.relation LIMIT 1), '')
$body$;
COMMENT ON FUNCTION audit._import_part(regclass) IS
    'internal: which table of colony this is by its columns: security_events, user_sessions, or else the log';

-- Of ids that the caller has, never others.
CREATE FUNCTION audit._import_security_known(part text, ids uuid[], since timestamptz, until timestamptz)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF part = 'security_events' THEN
        RETURN QUERY SELECT e.id FROM audit.security_events e JOIN unnest(ids) i(id) ON i.id = e.id
                     WHERE e.logged_at BETWEEN since AND until;
    ELSE
        RETURN QUERY SELECT s.id FROM audit.user_sessions s JOIN unnest(ids) i(id) ON i.id = s.id;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._import_security_known(text, uuid[], timestamptz, timestamptz) IS
    'internal: which of some ids are there already';

CREATE FUNCTION audit._import_security_begin(
    part text, source regclass, row_count bigint, first timestamptz, last timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $body$
BEGIN
    IF part = 'security_events' THEN
        PERFORM audit._make_past_months('audit.security_events', first);
    ELSE
        PERFORM audit._prepare_sessions();
    END IF;
    PERFORM audit._record_event('history_imported', format('audit.%I', part), NULL, jsonb_build_object(
        'format', 'colony', 'source', source::text, 'rows', row_count, 'covers_from', first,
        'covers_until', last));
END
$body$;
COMMENT ON FUNCTION audit._import_security_begin(text, regclass, bigint, timestamptz, timestamptz) IS
    'internal: makes the months and the event of an import, before its first row';

CREATE FUNCTION audit._check_import_begun(part text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM audit.guard_events g
                   WHERE g.transaction_id = pg_current_xact_id()::text::bigint AND g.kind = 'history_imported'
                     AND g.object = format('audit.%I', part)) THEN
        RAISE EXCEPTION 'no import into audit.% has begun', quote_ident(part)
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT * FROM audit.import_history(''schema_name.table_name'', ''colony'');';
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_import_begun(text) IS
    'internal: refuses rows for which _import_security_begin has written no event in this transaction';

CREATE FUNCTION audit._import_events(events audit.security_events[]) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM audit._check_import_begun('security_events');
    INSERT INTO audit.security_events
        (id, logged_at, event_type, severity, outcome, description, subject, user_id, tenant_id, session_id,
         email, ip_address, user_agent, entity_type, entity_id, metadata, actor_role, login_role,
         transaction_id)
    SELECT e.id, e.logged_at, e.event_type, e.severity,
           CASE WHEN e.event_type = 'login_failed' THEN 'failure'
                WHEN e.event_type IN ('access_blocked', 'blacklist_hit', 'permission_denied') THEN 'denied'
                ELSE 'success' END,
           e.description, e.user_id::text, e.user_id, left(e.tenant_id, 500), e.session_id,
           left(e.metadata ->> 'email', 320),
           e.ip_address, left(e.user_agent, 1000), e.entity_type, e.entity_id,
           CASE WHEN jsonb_typeof(e.metadata) = 'object' THEN e.metadata
                ELSE jsonb_strip_nulls(jsonb_build_object('metadata', e.metadata)) END
           || '{"audit_guard": {"imported_from": "colony"}}',
           'unknown', 'unknown', pg_current_xact_id()::text::bigint
    FROM unnest(events) WITH ORDINALITY e
    ORDER BY e.ordinality;
END
$body$;
COMMENT ON FUNCTION audit._import_events(audit.security_events[]) IS
    'internal: writes security events that were announced, marked as imported';

-- Nothing ended sessions before. One that is over by its own time, or by the profile that is in force, is taken
-- over as what it is, so that no event says that it ended today.
CREATE FUNCTION audit._import_sessions(sessions audit.user_sessions[]) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    moment constant timestamptz := clock_timestamp();
    rule constant record := audit._session_profile(NULL);
BEGIN
    PERFORM audit._check_import_begun('user_sessions');
    INSERT INTO audit.user_sessions
        (id, subject, user_id, auth_session_id, device_fingerprint, device_id, device_type, device_model,
         browser, browser_version, os, os_version, screen_resolution, ip_address, country, region, city,
         latitude, longitude, profile, idle_timeout, expires_at, created_at, last_active_at, terminated_at, termination_reason,
         is_suspicious, suspicious_reason, app_version)
    SELECT s.id, s.user_id::text, s.user_id, left(s.auth_session_id, 1000), left(s.device_fingerprint, 500),
           left(s.device_id, 1000),
           CASE WHEN s.device_type IN ('mobile', 'tablet', 'desktop') THEN s.device_type ELSE 'unknown' END,
           left(s.device_model, 1000), left(s.browser, 1000), left(s.browser_version, 1000), left(s.os, 1000),
           left(s.os_version, 1000), left(s.screen_resolution, 1000), s.ip_address, left(s.country, 1000),
           left(s.region, 1000), left(s.city, 1000), s.latitude, s.longitude,
           rule.profile, rule.idle_timeout, e.expires_at, s.created_at, s.last_active_at,
           coalesce(s.terminated_at, CASE WHEN e.ends_at <= moment THEN e.ends_at END),
           CASE WHEN s.terminated_at IS NOT NULL THEN coalesce(s.termination_reason, 'logout')
                WHEN e.ends_at <= moment THEN 'expired' END,
           coalesce(s.is_suspicious, false), s.suspicious_reason, left(s.app_version, 1000)
    FROM unnest(sessions) WITH ORDINALITY s
    CROSS JOIN LATERAL (SELECT coalesce(s.expires_at, s.created_at + rule.lifetime)) x(expires_at)
    CROSS JOIN LATERAL (SELECT x.expires_at,
                               audit._session_ends(s.last_active_at, rule.idle_timeout, x.expires_at)
                       ) e(expires_at, ends_at)
    ORDER BY s.ordinality;
END
$body$;
COMMENT ON FUNCTION audit._import_sessions(audit.user_sessions[]) IS
    'internal: writes sessions that were announced, under the profile that is in force';

CREATE FUNCTION audit._import_security(source regclass, part text, since timestamptz)
RETURNS TABLE (rows_read bigint, rows_imported bigint, rows_skipped bigint, note text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
DECLARE
    batch_rows constant integer := 500;
    moment constant timestamptz := clock_timestamp();
    is_event constant boolean := part = 'security_events';
    time_column constant text := CASE WHEN is_event THEN 'logged_at' ELSE 'created_at' END;
    -- What the table cannot hold stays behind.
    usable constant text := CASE WHEN is_event
        THEN 's.event_type::text = ANY (enum_range(NULL::audit.security_event_type)::text[]) '
             'AND s.severity IN (''info'', ''warning'', ''critical'') AND s.description IS NOT NULL'
        ELSE 's.user_id IS NOT NULL AND s.ip_address IS NOT NULL AND isfinite(s.last_active_at) '
             'AND coalesce(isfinite(s.expires_at), true) AND coalesce(isfinite(s.terminated_at), true) '
             'AND coalesce(s.termination_reason IN (''logout'', ''expired'', ''admin_revoke'', ''security''), '
             'true) '
             'AND coalesce(abs(s.latitude) <= 90, true) AND coalesce(abs(s.longitude) <= 180, true)' END;
    entries text;
    totals record;
    batch record;
BEGIN
    entries := format(
        'SELECT s.*, %4$s, '
        'coalesce(s.id IS NOT NULL AND isfinite(s.%1$I) AND s.%1$I <= $2 AND %2$s, false) AS is_usable '
        'FROM %3$s s WHERE $1 IS NULL OR s.%1$I >= $1', time_column, usable,
        audit._import_relation(source, 'colony', part),
        CASE WHEN is_event
             THEN 's.community_id::text AS tenant_id, s.event_type::text = ''login_failed'' '
                  'AND s.logged_at > $2 - interval ''1 day'' AS is_recent_failure'
             ELSE 'false AS is_recent_failure' END);
    EXECUTE format('SELECT count(*) AS read, count(*) FILTER (WHERE e.is_usable) AS usable, '
                   'min(e.%1$I) FILTER (WHERE e.is_usable) AS first, '
                   'max(e.%1$I) FILTER (WHERE e.is_usable) AS last FROM (%2$s) e', time_column, entries)
    INTO totals USING since, moment;
    entries := format('SELECT e.* FROM (%1$s) e WHERE e.is_usable AND e.id NOT IN '
                      '(SELECT k.id FROM audit._import_security_known(%2$L, '
                      '(SELECT array_agg(i.id) FROM (%1$s) i WHERE i.is_usable), %3$L, %4$L) k(id))',
                      entries, part, totals.first, totals.last);
    EXECUTE format('SELECT %s AS read, %s AS usable, count(*) AS new, min(e.%I) AS first, max(e.%3$I) AS last, '
                   'count(*) FILTER (WHERE e.is_recent_failure) AS failures FROM (%4$s) e',
                   totals.read, totals.usable, time_column, entries)
    INTO totals USING since, moment;
    rows_imported := 0;
    IF totals.new > 0 THEN
        PERFORM audit._import_security_begin(part, source, totals.new, totals.first, totals.last);
        FOR batch IN EXECUTE format(
            'SELECT array_agg(jsonb_populate_record(NULL::audit.%1$I, to_jsonb(b)) ORDER BY b.place) AS rows, '
            'count(*) AS row_count FROM (SELECT e.*, row_number() OVER (ORDER BY e.%2$I, e.id) AS place '
            'FROM (%3$s) e) b '
            'GROUP BY (b.place - 1) / %4$s ORDER BY min(b.place)', part, time_column, entries, batch_rows)
            USING since, moment
        LOOP
            IF is_event THEN
                PERFORM audit._import_events(batch.rows);
            ELSE
                PERFORM audit._import_sessions(batch.rows);
            END IF;
            rows_imported := rows_imported + batch.row_count;
        END LOOP;
        IF rows_imported <> totals.new THEN
            RAISE EXCEPTION '% changed while it was imported', source
                USING ERRCODE = 'serialization_failure',
                      HINT = format('BEGIN; LOCK TABLE %s IN SHARE MODE; then repeat.', source);
        END IF;
    END IF;
    rows_read := totals.read;
    rows_skipped := rows_read - rows_imported;
    note := nullif(concat_ws('; ',
        nullif(totals.usable - totals.new, 0) || ' rows were imported before',
        nullif(totals.read - totals.usable, 0) || ' rows have no usable time or content',
        nullif(totals.failures, 0) || ' failed logins of the last day count after: '
            || 'SELECT audit.rebuild_login_counters();'), '');
    RETURN NEXT;
END
$body$;
COMMENT ON FUNCTION audit._import_security(regclass, text, timestamptz) IS
    'internal: takes over one table of security events or sessions';
