-- Purpose: counts logins that failed, and looks for attacks.
-- Who may call: nobody directly; the functions of logins and log_security_event do.
-- Relies on: 78_login_tables.sql; when they are called, on 76_security_native.sql and 77_security_log.sql.

-- Several accounts from one network within the window are spraying, a hundred failures of one account in a
-- day are slow guessing: each is put on record once. is_counted: begin_login_attempt counted it already.
CREATE FUNCTION audit._fail_on_account(
    account uuid, at timestamptz, is_counted boolean, email text, ip_address inet)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    day_ago constant timestamptz := at - interval '24 hours';
    failures_today integer;
    is_new boolean := false;
BEGIN
    IF account IS NULL THEN
        RETURN false;
    ELSIF is_counted THEN
        SELECT audit._failures_in(c.failures, c.reset_at, at, 1440) INTO failures_today
        FROM audit.login_counters c WHERE c.key = account;
    ELSE
        INSERT INTO audit.login_counters AS c (key, failures)
        VALUES (account, audit._add_failure(NULL, at))
        ON CONFLICT ON CONSTRAINT login_counters_pkey DO UPDATE
            SET failures = audit._add_failure(c.failures, at)
        RETURNING audit._failures_in(c.failures, c.reset_at, at, 1440), c.xmax = 0
        INTO failures_today, is_new;
    END IF;
    IF failures_today >= 100 THEN
        UPDATE audit.login_counters c
        SET guessed_at = at
        WHERE c.key = account AND (c.guessed_at BETWEEN day_ago AND at + interval '24 hours') IS NOT TRUE;
        IF FOUND THEN
            PERFORM audit._write_event(
                'suspicious_activity', 'a hundred logins failed for one account within a day', NULL, NULL,
                NULL, NULL, email, ip_address, NULL, NULL, NULL, '{"kind": "slow_guessing"}');
        END IF;
    END IF;
    RETURN is_new;
END
$body$;
COMMENT ON FUNCTION audit._fail_on_account(uuid, timestamptz, boolean, text, inet) IS
    'internal: counts a failure for an account and looks for slow guessing; says whether the account is new';

CREATE FUNCTION audit._fail_on_network(
    network inet, account uuid, at timestamptz, is_counted boolean, ip_address inet)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    minutes constant integer := audit._login_window();
    tag constant integer := coalesce(audit._account_tag(account), 0);
    accounts integer;
    is_new boolean := false;
BEGIN
    IF is_counted THEN
        SELECT audit._accounts_in(n.failures, at, minutes) INTO accounts
        FROM audit.login_networks n WHERE n.network = _fail_on_network.network;
    ELSE
        INSERT INTO audit.login_networks AS n (network, failures)
        VALUES (_fail_on_network.network, audit._add_failure(NULL, at, tag))
        ON CONFLICT ON CONSTRAINT login_networks_pkey DO UPDATE
            SET failures = audit._add_failure(n.failures, at, tag)
        RETURNING audit._accounts_in(n.failures, at, minutes), n.xmax = 0 INTO accounts, is_new;
    END IF;
    IF accounts >= current_setting('audit_guard.login_max_attempts')::integer
       AND NOT audit._is_allowed(ip_address, at) THEN
        UPDATE audit.login_networks n
        SET sprayed_at = at
        WHERE n.network = _fail_on_network.network
          AND (n.sprayed_at > at - make_interval(mins => minutes)
               AND n.sprayed_at <= at + make_interval(mins => minutes)) IS NOT TRUE;
        IF FOUND THEN
            PERFORM audit._write_event(
                'suspicious_activity', 'logins failed for many accounts from one network', NULL, NULL, NULL,
                NULL, NULL, ip_address, NULL, NULL, NULL, '{"kind": "password_spraying"}');
        END IF;
    END IF;
    RETURN is_new;
END
$body$;
COMMENT ON FUNCTION audit._fail_on_network(inet, uuid, timestamptz, boolean, inet) IS
    'internal: counts a failure for a network and looks for password spraying; says whether it is new';

-- A sixtieth of each minute enters the memory of a row, so the last hour weighs most. Parsed now, so no
-- search_path misleads it, and the planner puts it where it is called.
CREATE FUNCTION audit._rate_before(minute bigint, failures integer, baseline real, this_minute bigint)
RETURNS real
LANGUAGE sql IMMUTABLE SECURITY INVOKER
RETURN CASE WHEN minute >= this_minute THEN baseline
            ELSE (baseline * 59 + failures) / 60 * power(59.0::double precision / 60,
                                                         least(this_minute - minute - 1, 1000)) END;
COMMENT ON FUNCTION audit._rate_before(bigint, integer, real, bigint) IS
    'internal: how many failures per minute a row of login_rate remembers from before a minute';

-- One failure in eight comes here, and counts for eight. Nobody waits here for others: a row that is in use is
-- left out, and the count is a little too low. Any row, because one that a transaction changes many times gets
-- slower each time.
CREATE FUNCTION audit._count_rate(at timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    this_minute constant bigint := floor(extract(epoch FROM at) / 60);
    any_shard constant smallint := floor(random() * 64);
    all_failures bigint;
    usual real;
BEGIN
    UPDATE audit.login_rate r
    SET failures = CASE WHEN r.minute = this_minute THEN r.failures + 8 ELSE 8 END,
        baseline = audit._rate_before(r.minute, r.failures, r.baseline, this_minute),
        minute = this_minute
    WHERE r.ctid = (SELECT f.ctid FROM audit.login_rate f WHERE f.shard = any_shard FOR UPDATE SKIP LOCKED);
    SELECT sum(r.failures) FILTER (WHERE r.minute = this_minute),
           sum(audit._rate_before(r.minute, r.failures, r.baseline, this_minute))
    INTO all_failures, usual
    FROM audit.login_rate r
    WHERE r.shard >= 0;
    -- Null when every row that counts this minute was in use.
    IF (all_failures >= greatest(120, 10 * usual)) IS NOT TRUE THEN
        RETURN false;
    END IF;
    UPDATE audit.login_rate r
    SET reported_at = at
    WHERE r.ctid = (SELECT f.ctid FROM audit.login_rate f WHERE f.shard = -1 FOR UPDATE SKIP LOCKED)
      AND (r.reported_at > at - interval '15 minutes'
           AND r.reported_at <= at + interval '15 minutes') IS NOT TRUE;
    IF FOUND THEN
        PERFORM audit._write_event(
            'suspicious_activity', 'far more logins fail than usual', NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL,
            jsonb_build_object('kind', 'credential_stuffing', 'failures', all_failures,
                               'usual', round(usual)),
            'critical');
        RETURN true;
    END IF;
    RETURN false;
END
$body$;
COMMENT ON FUNCTION audit._count_rate(timestamptz) IS
    'internal: counts eight failures of the whole database, and looks for stuffing; whether it found any';

-- For those that log a login without having begun it.
CREATE FUNCTION audit._count_failure(
    email text, ip inet, at timestamptz, device_fingerprint text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    account constant uuid := audit._account_key(left(email, 320));
    network constant inet := audit._login_network(ip);
    is_new_account constant boolean := audit._fail_on_account(account, at, false, email, ip);
    is_new_network boolean;
    pair uuid;
    device uuid;
    is_attack boolean := false;
BEGIN
    -- Looked for first: few accounts that somebody guesses are known where he is, and an UPDATE costs more.
    pair := CASE WHEN ip IS NOT NULL THEN audit._pair_key(account, network) END;
    device := audit._device_key(account, left(device_fingerprint, 1000));
    IF EXISTS (SELECT FROM audit.login_counters c WHERE c.key IN (pair, device) AND c.known_until > at) THEN
        UPDATE audit.login_counters c
        SET failures = audit._add_failure(c.failures, at)
        WHERE c.key IN (pair, device) AND c.known_until > at;
    END IF;
    is_new_network := audit._fail_on_network(network, account, at, false, ip);
    IF nextval('audit.login_failures_seq') % 8 = 0 THEN
        is_attack := audit._count_rate(clock_timestamp());
    END IF;
    IF (is_new_account OR is_new_network) AND random() < 0.0625 THEN
        PERFORM audit._sweep_somewhere(is_new_account, is_new_network);
    END IF;
    RETURN is_attack;
END
$body$;
COMMENT ON FUNCTION audit._count_failure(text, inet, timestamptz, text) IS
    'internal: counts a failed login for its account, its network, and where the account is known to be used';

CREATE FUNCTION audit._count_success(email text, ip inet, device_fingerprint text, at timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    account constant uuid := audit._account_key(left(email, 320));
BEGIN
    IF account IS NOT NULL THEN
        RETURN audit._reset_account(account, at)
            AND audit._know_login(account, ip, left(device_fingerprint, 1000), at, 'account');
    END IF;
    RETURN false;
END
$body$;
COMMENT ON FUNCTION audit._count_success(text, inet, text, timestamptz) IS
    'internal: has the earlier failures of an account forgotten, and remembers where it is used';
