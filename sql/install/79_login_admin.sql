-- Purpose: unlocks accounts and networks, and keeps the list of networks that many people share.
-- Who may call: audit_admin; functions with an underscore are internal.
-- Relies on: 32_holds.sql (_check_reason), 21_guard_events.sql; when they are called, on 78_login_tables.sql.

CREATE FUNCTION audit.unlock_login(email text, reason text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := 'SELECT audit.unlock_login(''ada@example.org'', ''why'');';
    account constant uuid := audit._account_key(left(email, 320));
    at timestamptz;
BEGIN
    IF email IS NULL THEN
        RAISE EXCEPTION 'email must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF account IS NULL THEN
        RAISE EXCEPTION 'email must not be blank' USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    PERFORM audit._check_reason(reason, retry);
    -- Where the account is known to be used, its own tries follow that of the account; logins under way are
    -- counted there alone.
    UPDATE audit.login_counters c
    SET failures = NULL, reset_at = clock_timestamp()
    WHERE c.key = account AND c.failures IS NOT NULL
    RETURNING c.reset_at INTO at;
    IF NOT FOUND AND EXISTS (
        SELECT FROM audit.login_attempts t WHERE audit._account_key(t.email) = account) THEN
        INSERT INTO audit.login_counters AS c (key, reset_at)
        VALUES (account, clock_timestamp())
        ON CONFLICT ON CONSTRAINT login_counters_pkey DO UPDATE
            SET failures = NULL, reset_at = clock_timestamp()
        RETURNING c.reset_at INTO at;
    END IF;
    IF at IS NULL THEN
        RETURN 0;
    END IF;
    -- Events of the guard are kept for ever, so they do not say who.
    PERFORM audit._record_event('login_unlocked', 'account ' || account, reason,
                                jsonb_build_object('at', extract(epoch FROM at)));
    RETURN 1;
END
$body$;
COMMENT ON FUNCTION audit.unlock_login(text, text) IS
    'forgets the failed logins of an account, so that it can be tried again; '
    'returns 1, or 0 when none had failed';

-- IPv4 written as IPv6 is meant as IPv4.
CREATE FUNCTION audit._check_network(network cidr, reason text, call text) RETURNS cidr
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    retry constant text := format('SELECT audit.%s(''203.0.113.0/24'', ''why'');', call);
BEGIN
    IF network IS NULL THEN
        RAISE EXCEPTION 'network must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    END IF;
    PERFORM audit._check_reason(reason, retry);
    RETURN CASE WHEN network <<= '::ffff:0:0/96'
                THEN set_masklen(audit._login_network(network)::cidr, masklen(network) - 96) ELSE network END;
END
$body$;
COMMENT ON FUNCTION audit._check_network(cidr, text, text) IS
    'internal: refuses a missing network or reason; returns the network as logins count it';

CREATE FUNCTION audit.unlock_network(network cidr, reason text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    meant constant cidr := audit._check_network(network, reason, 'unlock_network');
    unlocked integer;
BEGIN
    DELETE FROM audit.login_networks n
    WHERE (n.network <<= meant OR n.network = audit._login_network(meant)) AND n.failures IS NOT NULL;
    GET DIAGNOSTICS unlocked = ROW_COUNT;
    IF unlocked > 0 THEN
        PERFORM audit._record_event('network_unlocked', meant::text, reason,
                                    jsonb_build_object('networks', unlocked));
    END IF;
    RETURN unlocked;
END
$body$;
COMMENT ON FUNCTION audit.unlock_network(cidr, text) IS
    'forgets the failed logins from a network and from all that lie in it; returns how many there were';

CREATE FUNCTION audit.allow_network(network cidr, reason text, expires_at timestamptz DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    meant constant cidr := audit._check_network(network, reason, 'allow_network');
    who constant audit.request_context := audit.current_context();
BEGIN
    IF expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'expires_at must lie in the future'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT audit.allow_network(%L, ''why'', now() + interval ''1 year'');',
                                meant);
    END IF;
    INSERT INTO audit.login_allowlist AS l (network, reason, added_by, expires_at)
    VALUES (meant, allow_network.reason, who.login_role, allow_network.expires_at)
    ON CONFLICT ON CONSTRAINT login_allowlist_pkey DO UPDATE
        SET reason = excluded.reason, added_at = excluded.added_at, added_by = excluded.added_by,
            expires_at = excluded.expires_at;
    PERFORM audit._record_event('network_allowed', meant::text, reason,
                                jsonb_strip_nulls(jsonb_build_object('expires_at', expires_at)));
END
$body$;
COMMENT ON FUNCTION audit.allow_network(cidr, text, timestamptz) IS
    'has failed logins from a network that many people share count for the accounts alone; once more: '
    'changes reason and end';

CREATE FUNCTION audit.disallow_network(network cidr, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    meant constant cidr := audit._check_network(network, reason, 'disallow_network');
BEGIN
    DELETE FROM audit.login_allowlist l WHERE l.network = meant;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit._record_event('network_disallowed', meant::text, reason, '{}');
    RETURN true;
END
$body$;
COMMENT ON FUNCTION audit.disallow_network(cidr, text) IS
    'ends what allow_network began; false when the list has no such entry';
