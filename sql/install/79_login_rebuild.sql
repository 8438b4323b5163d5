-- Purpose: makes the counters of logins again from the events.
-- Who may call: audit_admin; functions with an underscore are internal.
-- Relies on: 21_guard_events.sql, 77_security_events.sql, 78_login_tables.sql, 76_security_native.sql.

-- Whatever a column holds, in events that were loaded from elsewhere, too: what is no time is null.
CREATE FUNCTION audit._attempted_at(attempted_at jsonb) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN jsonb_typeof(attempted_at) = 'number' AND attempted_at BETWEEN '0' AND '4000000000'
                THEN to_timestamp(round(attempted_at::numeric, 6)::double precision) END
$body$;
COMMENT ON FUNCTION audit._attempted_at(jsonb) IS
    'internal: a time in seconds since 1970; null for anything else';

CREATE FUNCTION audit._network_of(object text) RETURNS cidr
LANGUAGE plpgsql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN object::cidr;
EXCEPTION
    WHEN data_exception THEN
        RETURN NULL;
END
$body$;
COMMENT ON FUNCTION audit._network_of(text) IS
    'internal: the network that a text means; null when it means none';

-- Every login that counts, from the events and from what is under way.
CREATE FUNCTION audit._login_history(
    at timestamptz, OUT succeeded boolean, OUT is_open boolean, OUT account uuid, OUT network inet,
    OUT pair uuid, OUT device uuid, OUT counted_at timestamptz, OUT logged_at timestamptz,
    OUT budget text, OUT keeps_account boolean)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT l.succeeded, l.is_open, k.account, k.network,
           CASE WHEN l.ip_address IS NOT NULL THEN audit._pair_key(k.account, k.network) END,
           audit._device_key(k.account, left(l.device_fingerprint, 1000)), l.counted_at,
           l.logged_at, l.budget, l.keeps_account
    FROM (
        SELECT e.event_type = 'login_success', false, e.email, e.ip_address,
               e.metadata ->> 'device_fingerprint',
               coalesce(audit._attempted_at(e.metadata #> '{audit_guard,attempted_at}'), e.logged_at),
               e.logged_at,
               e.metadata #>> '{audit_guard,budget}',
               coalesce(e.metadata #> '{audit_guard,keeps_account}' = 'true', false)
        FROM audit.security_events e
        WHERE e.event_type = 'login_failed' AND e.logged_at > at - interval '24 hours'
           OR e.event_type = 'login_success' AND e.logged_at > at - interval '90 days' AND e.email IS NOT NULL
        UNION ALL
        SELECT false, true, t.email, t.ip_address, t.device_fingerprint, t.attempted_at, t.attempted_at,
               t.budget, false
        FROM audit.login_attempts t
        ) l(succeeded, is_open, email, ip_address, device_fingerprint, counted_at, logged_at, budget,
            keeps_account)
    CROSS JOIN LATERAL (
        SELECT audit._account_key(left(l.email, 320)), audit._login_network(l.ip_address)) k(account, network)
$body$;
COMMENT ON FUNCTION audit._login_history(timestamptz) IS
    'internal: the logins that failed within a day or are under way, and those that succeeded within 90 days';

CREATE FUNCTION audit._rebuild_counters(at timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    day_ago constant timestamptz := at - interval '24 hours';
    keys bigint;
BEGIN
    WITH history AS MATERIALIZED (
        SELECT h.* FROM audit._login_history(at) h WHERE h.account IS NOT NULL
    ), resets AS MATERIALIZED (
        SELECT r.account, max(r.reset_at) AS reset_at
        FROM (SELECT h.account, h.counted_at FROM history h WHERE h.succeeded AND NOT h.keeps_account
              UNION ALL
              SELECT audit._as_uuid(substr(e.object, length('account ') + 1)),
                     coalesce(audit._attempted_at(e.detail -> 'at'), e.logged_at)
              FROM audit.guard_events e
              WHERE e.kind = 'login_unlocked' AND e.logged_at > day_ago) r(account, reset_at)
        GROUP BY r.account
    ), failed AS MATERIALIZED (
        SELECT h.*, r.reset_at
        FROM history h
        LEFT JOIN resets r ON r.account = h.account
        WHERE NOT h.succeeded AND h.counted_at > day_ago AND (h.counted_at > r.reset_at) IS NOT FALSE
    ), known AS (
        SELECT k.key, h.account, max(h.counted_at) + interval '90 days' AS known_until,
               min(h.logged_at) AS known_at, max(h.counted_at) FILTER (WHERE k.resets) AS reset_at
        FROM history h
        CROSS JOIN LATERAL (
            VALUES (h.pair, h.budget IS DISTINCT FROM 'device'), (h.device, true)) k(key, resets)
        WHERE h.succeeded AND k.key IS NOT NULL
        GROUP BY k.key, h.account
        HAVING max(h.counted_at) + interval '90 days' > at
    ), own AS (
        SELECT k.key, f.counted_at
        FROM failed f
        CROSS JOIN LATERAL (VALUES (f.pair, 'pair'), (f.device, 'device')) o(key, kind)
        JOIN known k ON k.key = o.key
        WHERE coalesce(f.budget, o.kind) = o.kind AND f.counted_at > greatest(k.known_at, k.reset_at)
    ), counters AS MATERIALIZED (
        SELECT f.account AS key, audit._failures_of(array_agg(f.counted_at)) AS failures,
               max(f.reset_at) AS reset_at, NULL::timestamptz AS known_until
        FROM failed f
        WHERE NOT f.is_open OR f.budget = 'account'
        GROUP BY f.account
        UNION ALL
        SELECT k.key, audit._failures_of(array_agg(o.counted_at) FILTER (WHERE o.counted_at IS NOT NULL)),
               greatest(k.reset_at, max(r.reset_at)), k.known_until
        FROM known k
        LEFT JOIN resets r ON r.account = k.account
        LEFT JOIN own o ON o.key = k.key
        GROUP BY k.key, k.reset_at, k.known_until
    ), gone AS (
        DELETE FROM audit.login_counters c WHERE NOT EXISTS (SELECT FROM counters n WHERE n.key = c.key)
    )
    INSERT INTO audit.login_counters AS c (key, failures, reset_at, known_until)
    SELECT n.key, n.failures, n.reset_at, n.known_until
    FROM counters n
    ON CONFLICT ON CONSTRAINT login_counters_pkey DO UPDATE
        SET failures = excluded.failures, reset_at = excluded.reset_at, known_until = excluded.known_until;
    GET DIAGNOSTICS keys = ROW_COUNT;
    RETURN keys;
END
$body$;
COMMENT ON FUNCTION audit._rebuild_counters(timestamptz) IS
    'internal: makes login_counters again; what was put on record stays so';

CREATE FUNCTION audit._rebuild_networks(at timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    day_ago constant timestamptz := at - interval '24 hours';
    keys bigint;
BEGIN
    WITH unlocked AS MATERIALIZED (
        SELECT audit._network_of(e.object) AS network,
               coalesce(audit._attempted_at(e.detail -> 'at'), e.logged_at) AS unlocked_at
        FROM audit.guard_events e
        WHERE e.kind = 'network_unlocked' AND e.logged_at > day_ago
    ), counters AS MATERIALIZED (
        SELECT h.network,
               audit._failures_of(array_agg(h.counted_at),
                                  array_agg(coalesce(audit._account_tag(h.account), 0))) AS failures
        FROM audit._login_history(at) h
        WHERE NOT h.succeeded AND h.counted_at > day_ago AND (NOT h.is_open OR h.budget = 'account')
          AND NOT EXISTS (
              SELECT FROM unlocked u
              WHERE (h.network <<= u.network OR h.network = audit._login_network(u.network))
                AND h.counted_at <= u.unlocked_at)
        GROUP BY h.network
    ), gone AS (
        DELETE FROM audit.login_networks c
        WHERE NOT EXISTS (SELECT FROM counters n WHERE n.network = c.network)
    )
    INSERT INTO audit.login_networks AS c (network, failures)
    SELECT n.network, n.failures
    FROM counters n
    ON CONFLICT ON CONSTRAINT login_networks_pkey DO UPDATE SET failures = excluded.failures;
    GET DIAGNOSTICS keys = ROW_COUNT;
    RETURN keys;
END
$body$;
COMMENT ON FUNCTION audit._rebuild_networks(timestamptz) IS
    'internal: makes login_networks again; what was put on record stays so';

-- Whoever counts waits, and so do we for those who have begun to. Checks go on meanwhile.
CREATE FUNCTION audit.rebuild_login_counters() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    at timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'counters can be made again at isolation level READ COMMITTED only'
            USING ERRCODE = 'active_sql_transaction',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED; SELECT audit.rebuild_login_counters(); '
                         'COMMIT;';
    END IF;
    LOCK TABLE audit.login_counters, audit.login_networks IN SHARE ROW EXCLUSIVE MODE;
    at := clock_timestamp();
    RETURN audit._rebuild_counters(at) + audit._rebuild_networks(at);
END
$body$;
COMMENT ON FUNCTION audit.rebuild_login_counters() IS
    'makes the counters of logins again from audit.security_events, as after a restore or a change of the '
    'settings by which accounts and networks are told apart; returns how many there are';
