-- Purpose: counts logins: a try is taken before the password is looked at, and given back when it was right.
-- Who may call: audit_writer; functions with an underscore are internal.
-- Relies on: 10_types.sql; when they are called, on the other files of logins and 77_security_log.sql.

-- Locks are taken in the order account, network or device of the account, network, everywhere.

-- Once per block. Who is blocked and was reported changes nothing here, so an attack writes nothing.
CREATE FUNCTION audit._report_block(
    reason text, key uuid, network inet, unlocked_at timestamptz, email text, ip_address inet, at timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    tries constant integer := current_setting('audit_guard.login_max_attempts')::integer;
    minutes constant integer := audit._login_window();
    -- A block of the daily rule has no such beginning.
    day_ago constant timestamptz := at - interval '24 hours';
    ahead constant timestamptz := at + make_interval(mins => minutes);
    is_reported boolean;
    event_id uuid;
BEGIN
    IF reason = 'network' THEN
        SELECT n.reported_at <= ahead AND n.reported_at >= coalesce(
                   audit._block_began(n.failures, NULL, at, audit._network_tries(tries), minutes), day_ago)
        INTO is_reported
        FROM audit.login_networks n WHERE n.network = _report_block.network;
        IF is_reported THEN
            RETURN true;
        END IF;
        UPDATE audit.login_networks n
        SET reported_at = at
        WHERE n.network = _report_block.network
          AND NOT audit._has_room(n.failures, NULL, at, audit._network_tries(tries), minutes, false)
          AND (n.reported_at <= ahead AND n.reported_at >= coalesce(
                  audit._block_began(n.failures, NULL, at, audit._network_tries(tries), minutes),
                  day_ago)) IS NOT TRUE;
    ELSE
        SELECT c.reported_at <= ahead AND c.reported_at >= coalesce(
                   audit._block_began(c.failures, greatest(c.reset_at, unlocked_at), at, tries, minutes),
                   day_ago)
        INTO is_reported
        FROM audit.login_counters c WHERE c.key = _report_block.key;
        IF is_reported THEN
            RETURN true;
        END IF;
        UPDATE audit.login_counters c
        SET reported_at = at
        WHERE c.key = _report_block.key
          AND NOT audit._has_room(c.failures, greatest(c.reset_at, unlocked_at), at, tries, minutes, true)
          AND (c.reported_at <= ahead AND c.reported_at >= coalesce(
                  audit._block_began(c.failures, greatest(c.reset_at, unlocked_at), at, tries, minutes),
                  day_ago)) IS NOT TRUE;
    END IF;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    event_id := audit._write_event('access_blocked', 'too many failed logins', NULL, NULL, NULL, NULL, email,
                                   ip_address, NULL, NULL, NULL,
                                   jsonb_build_object('kind', 'login_blocked', 'reason', reason));
    RETURN true;
END
$body$;
COMMENT ON FUNCTION audit._report_block(text, uuid, inet, timestamptz, text, inet, timestamptz) IS
    'internal: puts a block on record, once; false: others changed something meanwhile, look again';

CREATE FUNCTION audit._take_try(
    account uuid, network inet, own_key uuid, unlocked_at timestamptz, is_allowed boolean, at timestamptz,
    OUT is_taken boolean, OUT account_failures integer, OUT network_failures integer, OUT remaining integer)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    tries constant integer := current_setting('audit_guard.login_max_attempts')::integer;
    minutes constant integer := audit._login_window();
    network_tries constant integer := audit._network_tries(tries);
    tag constant integer := coalesce(audit._account_tag(account), 0);
    failures_today integer := 0;
    is_new_account boolean := false;
    is_new_network boolean;
BEGIN
    is_taken := false;
    IF own_key IS NOT NULL THEN
        UPDATE audit.login_counters c
        SET failures = audit._add_failure(c.failures, at)
        WHERE c.key = own_key AND c.known_until > at
          AND audit._has_room(c.failures, greatest(c.reset_at, unlocked_at), at, tries, minutes, true)
        RETURNING true, audit._failures_in(c.failures, greatest(c.reset_at, unlocked_at), at, minutes),
                  audit._failures_in(c.failures, greatest(c.reset_at, unlocked_at), at, 1440)
        INTO is_taken, remaining, failures_today;
        remaining := least(tries - remaining, 100 - failures_today);
        RETURN;
    END IF;
    remaining := network_tries;
    IF account IS NOT NULL THEN
        INSERT INTO audit.login_counters AS c (key, failures)
        VALUES (account, audit._add_failure(NULL, at))
        ON CONFLICT ON CONSTRAINT login_counters_pkey DO UPDATE
            SET failures = audit._add_failure(c.failures, at)
            WHERE audit._has_room(c.failures, c.reset_at, at, tries, minutes, true)
        RETURNING audit._failures_in(c.failures, c.reset_at, at, minutes),
                  audit._failures_in(c.failures, c.reset_at, at, 1440), c.xmax = 0
        INTO account_failures, failures_today, is_new_account;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        remaining := least(tries - account_failures, 100 - failures_today);
    END IF;
    INSERT INTO audit.login_networks AS n (network, failures)
    VALUES (_take_try.network, audit._add_failure(NULL, at, tag))
    ON CONFLICT ON CONSTRAINT login_networks_pkey DO UPDATE
        SET failures = audit._add_failure(n.failures, at, tag)
        WHERE is_allowed OR audit._has_room(n.failures, NULL, at, network_tries, minutes, false)
    RETURNING true, audit._failures_in(n.failures, NULL, at, minutes), n.xmax = 0
    INTO is_taken, network_failures, is_new_network;
    IF NOT FOUND THEN
        is_taken := false;
        UPDATE audit.login_counters c
        SET failures = audit._remove_failure(c.failures, at)
        WHERE c.key = account;
        RETURN;
    END IF;
    IF NOT is_allowed THEN
        remaining := least(remaining, network_tries - network_failures);
    END IF;
    IF (is_new_account OR is_new_network) AND random() < 0.0625 THEN
        PERFORM audit._sweep_somewhere(is_new_account, is_new_network);
    END IF;
END
$body$;
COMMENT ON FUNCTION audit._take_try(uuid, inet, uuid, timestamptz, boolean, timestamptz) IS
    'internal: counts a login that is about to be tried as failed, if there is still room; otherwise '
    'takes nothing';

CREATE FUNCTION audit.begin_login_attempt(
    email text, ip_address inet, device_fingerprint text DEFAULT NULL)
RETURNS audit.login_verdict
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    address constant inet := coalesce(ip_address, audit._request_ip());
    state record;
    verdict audit.login_verdict;
    try record;
    at timestamptz;
BEGIN
    -- Again after waiting for others in vain: what they did decides.
    LOOP
        at := clock_timestamp();
        state := audit._login_state(email, address, device_fingerprint, NULL, NULL, at);
        verdict := state.verdict;
        IF verdict.blocked THEN
            IF audit._report_block(verdict.reason, coalesce(state.own_key, state.account), state.network,
                                   state.unlocked_at, email, address, at) THEN
                RETURN verdict;
            END IF;
        ELSE
            try := audit._take_try(state.account, state.network, state.own_key, state.unlocked_at,
                                   state.is_allowed, at);
            EXIT WHEN try.is_taken;
        END IF;
    END LOOP;
    -- A crash must not give tries back.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'local', true);
    END IF;
    INSERT INTO audit.login_attempts AS a (attempted_at, email, ip_address, device_fingerprint, budget)
    VALUES (at, left(begin_login_attempt.email, 320), address,
            left(begin_login_attempt.device_fingerprint, 1000), state.budget)
    RETURNING a.id INTO verdict.attempt_id;
    verdict.account_failures := coalesce(try.account_failures, verdict.account_failures);
    verdict.network_failures := coalesce(try.network_failures, verdict.network_failures);
    verdict.remaining := try.remaining;
    RETURN verdict;
END
$body$;
COMMENT ON FUNCTION audit.begin_login_attempt(text, inet, text) IS
    'takes one of the tries before the password is looked at, or says that there is none; to be called in a '
    'transaction of its own (READ COMMITTED, or it may fail with 40001), and followed by '
    'finish_login_attempt with the attempt_id; what is not finished within five minutes has failed';

-- Whoever gets in knows the password: earlier failures of the account do not count any more. But a known
-- device that gets in while others guess must not give them new tries.
CREATE FUNCTION audit._pass_attempt(
    attempt_id uuid, attempted_at timestamptz, email text, ip_address inet, device_fingerprint text,
    budget text, subject text, user_id uuid)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    account constant uuid := audit._account_key(email);
    bucket constant inet := audit._login_network(ip_address);
    keeps_account boolean := false;
    is_done boolean;
BEGIN
    IF budget = 'account' THEN
        is_done := audit._reset_account(account, attempted_at);
    ELSE
        UPDATE audit.login_counters c
        SET failures = CASE WHEN audit._newest_failure(c.failures) > attempted_at THEN c.failures END,
            reset_at = greatest(c.reset_at, attempted_at)
        WHERE c.key = account
          AND audit._has_room(c.failures, c.reset_at, clock_timestamp(),
                              current_setting('audit_guard.login_max_attempts')::integer,
                              audit._login_window(), true);
        keeps_account := NOT FOUND AND EXISTS (SELECT FROM audit.login_counters c WHERE c.key = account);
    END IF;
    is_done := audit._know_login(account, ip_address, device_fingerprint, attempted_at, budget);
    IF budget = 'account' THEN
        UPDATE audit.login_networks n
        SET failures = audit._remove_failure(n.failures, attempted_at,
                                             coalesce(audit._account_tag(account), 0))
        WHERE n.network = bucket;
    END IF;
    RETURN audit._write_event(
        'login_success', NULL, subject, user_id, who.session_id, who.tenant_id, email, ip_address,
        who.context ->> 'user_agent', NULL, NULL,
        audit._attempt_notes(attempt_id, attempted_at, budget, device_fingerprint,
                             CASE WHEN keeps_account THEN '{"keeps_account": true}' ELSE '{}' END::jsonb));
END
$body$;
COMMENT ON FUNCTION audit._pass_attempt(uuid, timestamptz, text, inet, text, text, text, uuid) IS
    'internal: what a login that succeeded gives back; returns its event';

CREATE FUNCTION audit._reset_account(account uuid, at timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    UPDATE audit.login_counters c
    SET failures = CASE WHEN audit._newest_failure(c.failures) > at
                        THEN audit._remove_failure(c.failures, at) END,
        reset_at = greatest(c.reset_at, at)
    WHERE c.key = account;
    RETURN true;
END
$body$;
COMMENT ON FUNCTION audit._reset_account(uuid, timestamptz) IS
    'internal: failures of an account up to this moment do not count any more';

-- A known device that gets in gives no new tries to the network: others may be guessing there.
CREATE FUNCTION audit._know_login(
    account uuid, ip_address inet, device_fingerprint text, at timestamptz, budget text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    pair constant uuid := CASE WHEN ip_address IS NOT NULL
                               THEN audit._pair_key(account, audit._login_network(ip_address)) END;
    device constant uuid := audit._device_key(account, device_fingerprint);
    kept constant uuid := CASE budget WHEN 'device' THEN pair END;
BEGIN
    INSERT INTO audit.login_counters AS c (key, reset_at, known_until)
    SELECT k.key, at, at + interval '90 days'
    FROM unnest(ARRAY[pair, device]) k(key)
    WHERE k.key IS NOT NULL
    ORDER BY k.key
    ON CONFLICT ON CONSTRAINT login_counters_pkey DO UPDATE
        SET failures = CASE WHEN c.key = kept THEN c.failures
                            WHEN audit._newest_failure(c.failures) > at
                            THEN audit._remove_failure(c.failures, at) END,
            reset_at = CASE WHEN c.key = kept THEN c.reset_at ELSE greatest(c.reset_at, at) END,
            known_until = greatest(c.known_until, excluded.known_until);
    RETURN true;
END
$body$;
COMMENT ON FUNCTION audit._know_login(uuid, inet, text, timestamptz, text) IS
    'internal: from now on the account is known to be used from this network and device';

CREATE FUNCTION audit._attempt_notes(
    attempt_id uuid, attempted_at timestamptz, budget text, device_fingerprint text, more jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    notes constant jsonb := jsonb_build_object('audit_guard', jsonb_build_object(
        'attempt', attempt_id, 'attempted_at', extract(epoch FROM attempted_at), 'budget', budget) || more);
BEGIN
    RETURN CASE WHEN device_fingerprint IS NULL THEN notes
                ELSE notes || jsonb_build_object('device_fingerprint', device_fingerprint) END;
END
$body$;
COMMENT ON FUNCTION audit._attempt_notes(uuid, timestamptz, text, text, jsonb) IS
    'internal: what the event of a login has to say so that counters can be made again from it; the time in '
    'seconds since 1970, which no setting changes';

CREATE FUNCTION audit._log_failure(
    attempt_id uuid, attempted_at timestamptz, email text, ip_address inet, device_fingerprint text,
    budget text, subject text, user_id uuid, more jsonb)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    event_id uuid;
BEGIN
    event_id := audit._write_event(
        'login_failed', NULL, subject, user_id, who.session_id, who.tenant_id, email, ip_address,
        who.context ->> 'user_agent', NULL, NULL,
        audit._attempt_notes(attempt_id, attempted_at, budget, device_fingerprint, more));
    RETURN nextval('audit.login_failures_seq') % 8 = 0 AND audit._count_rate(clock_timestamp());
END
$body$;
COMMENT ON FUNCTION audit._log_failure(uuid, timestamptz, text, inet, text, text, text, uuid, jsonb) IS
    'internal: the event of a login that failed';

CREATE FUNCTION audit.finish_login_attempt(
    attempt_id uuid, success boolean, user_id uuid DEFAULT NULL, subject text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    person record;
    a record;
    account uuid;
    event_id uuid;
    is_new boolean;
    is_attack boolean;
BEGIN
    IF success IS NULL THEN
        RAISE EXCEPTION 'success must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT audit.finish_login_attempt(attempt_id, success => false);';
    END IF;
    person := audit._same_person(subject, user_id);
    DELETE FROM audit.login_attempts t WHERE t.id = attempt_id RETURNING t.* INTO a;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF success THEN
        event_id := audit._pass_attempt(a.id, a.attempted_at, a.email, a.ip_address, a.device_fingerprint,
                                        a.budget, person.subject, person.user_id);
        RETURN true;
    END IF;
    account := audit._account_key(a.email);
    is_new := audit._fail_on_account(account, a.attempted_at, a.budget = 'account', a.email, a.ip_address);
    is_new := audit._fail_on_network(audit._login_network(a.ip_address), account, a.attempted_at,
                                     a.budget = 'account', a.ip_address);
    is_attack := audit._log_failure(a.id, a.attempted_at, a.email, a.ip_address, a.device_fingerprint,
                                    a.budget, person.subject, person.user_id, '{}');
    RETURN true;
END
$body$;
COMMENT ON FUNCTION audit.finish_login_attempt(uuid, boolean, uuid, text) IS
    'says how a login ended that begin_login_attempt began: success gives its try back and lets earlier '
    'failures be forgotten; writes login_success or login_failed; '
    'false when there is no such attempt (any more)';
