-- Purpose: says whether a login may be tried, and how many tries are left; never writes.
-- Who may call: audit_writer; functions with an underscore are internal.
-- Relies on: 10_types.sql; when they are called, on 78_login_tables.sql and 76_security_native.sql.

-- Parsed now, so no search_path misleads it, and the planner puts it where it is called.
CREATE FUNCTION audit._network_tries(max_attempts integer) RETURNS integer
LANGUAGE sql STABLE SECURITY INVOKER
RETURN least(max_attempts * current_setting('audit_guard.login_network_factor')::integer, 200);
COMMENT ON FUNCTION audit._network_tries(integer) IS
    'internal: how many logins may fail from one network, when so many may fail for one account';

CREATE FUNCTION audit._is_allowed(ip_address inet, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    network constant inet := audit._login_network(ip_address);
    address constant inet := CASE WHEN family(network) = 4 THEN network ELSE set_masklen(ip_address, 128) END;
BEGIN
    RETURN EXISTS (
        SELECT FROM audit.login_allowlist l
        WHERE l.network >>= address AND (l.expires_at IS NULL OR l.expires_at > at));
END
$body$;
COMMENT ON FUNCTION audit._is_allowed(inet, timestamptz) IS
    'internal: whether an address lies in a network that many people share; none is 0.0.0.0';

-- An account is recognised by what its events keep of the email, so that counters can be made again from
-- them. Fixed plans: a login is often the first thing that a connection does, and a table that was empty when
-- a plan was made may be full of an attack a minute later.
CREATE FUNCTION audit._login_state(
    email text, ip_address inet, device_fingerprint text, max_attempts integer, window_minutes integer,
    at timestamptz, OUT verdict audit.login_verdict, OUT account uuid, OUT network inet, OUT budget text,
    OUT own_key uuid, OUT unlocked_at timestamptz, OUT is_allowed boolean)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    tries constant integer := coalesce(
        max_attempts, current_setting('audit_guard.login_max_attempts')::integer);
    minutes constant integer := coalesce(window_minutes, audit._login_window());
    is_daily constant boolean := max_attempts IS NULL AND window_minutes IS NULL;
    network_tries constant integer := audit._network_tries(tries);
    device uuid;
    pair uuid;
    failures bytea;
    reset_at timestamptz;
    own_failures bytea;
    own_reset_at timestamptz;
    network_failures bytea;
    account_count integer := 0;
    network_count integer;
    remaining integer := network_tries;
    reason text;
    retry_after integer := 0;
BEGIN
    account := audit._account_key(left(email, 320));
    network := audit._login_network(ip_address);
    budget := 'account';
    is_allowed := false;
    SELECT n.failures INTO network_failures
    FROM audit.login_networks n WHERE n.network = _login_state.network;
    network_count := audit._failures_in(network_failures, NULL, at, minutes);

    IF account IS NOT NULL THEN
        SELECT c.failures, c.reset_at INTO failures, reset_at
        FROM audit.login_counters c WHERE c.key = account;
        account_count := audit._failures_in(failures, reset_at, at, minutes);
        unlocked_at := reset_at;
        -- Whoever is known here has tries of his own, which nobody elsewhere can use up.
        device := audit._device_key(account, left(device_fingerprint, 1000));
        IF device IS NOT NULL THEN
            SELECT c.key, c.failures, c.reset_at INTO own_key, own_failures, own_reset_at
            FROM audit.login_counters c WHERE c.key = device AND c.known_until > at;
        END IF;
        IF own_key IS NOT NULL THEN
            budget := 'device';
        ELSIF ip_address IS NOT NULL THEN
            pair := audit._pair_key(account, network);
            SELECT c.key, c.failures, c.reset_at INTO own_key, own_failures, own_reset_at
            FROM audit.login_counters c WHERE c.key = pair AND c.known_until > at;
            IF own_key IS NOT NULL THEN
                budget := 'pair';
            END IF;
        END IF;
        IF own_key IS NOT NULL THEN
            failures := own_failures;
            reset_at := greatest(own_reset_at, reset_at);
            remaining := tries - audit._failures_in(failures, reset_at, at, minutes);
        ELSE
            remaining := tries - account_count;
        END IF;
        IF is_daily THEN
            remaining := least(remaining, 100 - audit._failures_in(failures, reset_at, at, 1440));
        END IF;
        IF remaining <= 0 THEN
            reason := budget;
            retry_after := audit._retry_after(failures, reset_at, at, tries, minutes, is_daily);
        END IF;
    END IF;

    IF own_key IS NULL AND network_tries - network_count < greatest(remaining, 1) THEN
        is_allowed := audit._is_allowed(ip_address, at);
        IF NOT is_allowed THEN
            remaining := network_tries - network_count;
            IF remaining <= 0 THEN
                reason := coalesce(reason, 'network');
                retry_after := greatest(retry_after, audit._retry_after(
                    network_failures, NULL, at, network_tries, minutes, false));
            END IF;
        END IF;
    END IF;
    verdict := ROW(reason IS NOT NULL, reason, retry_after, account_count, network_count,
                   greatest(remaining, 0), NULL);
END
$body$;
COMMENT ON FUNCTION audit._login_state(text, inet, text, integer, integer, timestamptz) IS
    'internal: whether a login may be tried, by which rule, and the keys that it counts on; a limit that is '
    'null is that of the settings, with the rule that at most 100 may fail in a day';

CREATE FUNCTION audit._check_limits(max_attempts integer, window_minutes integer, call text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := format('SELECT audit.%s(''ada@example.org'', ''203.0.113.9'', max_attempts => 5, '
                                  'window_minutes => 15);', call);
BEGIN
    IF (max_attempts BETWEEN 1 AND 100) IS NOT TRUE THEN
        RAISE EXCEPTION 'max_attempts must be between 1 and 100'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF (window_minutes BETWEEN 1 AND 1440) IS NOT TRUE THEN
        RAISE EXCEPTION 'window_minutes must be between 1 and 1440'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._check_limits(integer, integer, text) IS
    'internal: refuses limits that could never or always block';

CREATE FUNCTION audit.should_block_login(
    email text, ip_address inet, max_attempts integer DEFAULT 5, window_minutes integer DEFAULT 15)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    at constant timestamptz := clock_timestamp();
    account constant uuid := audit._account_key(left(email, 320));
    bucket constant inet := CASE WHEN ip_address IS NOT NULL THEN audit._login_network(ip_address) END;
BEGIN
    IF (max_attempts BETWEEN 1 AND 100 AND window_minutes BETWEEN 1 AND 1440) IS NOT TRUE THEN
        PERFORM audit._check_limits(max_attempts, window_minutes, 'should_block_login');
    END IF;
    RETURN EXISTS (
            SELECT FROM audit.login_counters c
            WHERE c.key = account
              AND NOT audit._has_room(c.failures, c.reset_at, at, max_attempts, window_minutes, false))
        OR EXISTS (
            SELECT FROM audit.login_networks n
            WHERE n.network = bucket
              AND NOT audit._has_room(n.failures, NULL, at, audit._network_tries(max_attempts),
                                      window_minutes, false)
              AND NOT audit._is_allowed(ip_address, at));
END
$body$;
COMMENT ON FUNCTION audit.should_block_login(text, inet, integer, integer) IS
    'whether too many logins failed lately for this account, or from this network twice as many (a setting); '
    'a rule whose argument is null or blank does not apply';

CREATE FUNCTION audit.check_login(
    email text, ip_address inet, max_attempts integer DEFAULT NULL, window_minutes integer DEFAULT NULL,
    device_fingerprint text DEFAULT NULL)
RETURNS audit.login_verdict
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    state record;
BEGIN
    IF max_attempts IS NOT NULL OR window_minutes IS NOT NULL THEN
        PERFORM audit._check_limits(coalesce(max_attempts, 1), coalesce(window_minutes, 1), 'check_login');
    END IF;
    state := audit._login_state(email, coalesce(ip_address, audit._request_ip()), device_fingerprint,
                                max_attempts, window_minutes, clock_timestamp());
    RETURN state.verdict;
END
$body$;
COMMENT ON FUNCTION audit.check_login(text, inet, integer, integer, text) IS
    'whether a login may be tried now, by which rule not (account, network; pair and device: where the '
    'account is known to be used, its own tries), how long to wait and how many tries are left; limits that '
    'are null are those of the settings';
