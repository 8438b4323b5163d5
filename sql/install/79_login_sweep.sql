-- Purpose: removes counters of logins that are over, and ends attempts that nobody finished.
-- Who may call: nobody directly; new rows, expire_sessions and the worker have it done.
-- Relies on: 78_login_tables.sql; when they are called, on 79_login_counting.sql.

-- How many rows of some blocks are too many, as far as these blocks can tell: a table never gets shorter, so
-- its length says little. A part of a block goes at a time, the oldest rows first: whoever makes new ones
-- must not have everybody's failures forgotten.
CREATE FUNCTION audit._login_surplus(target regclass, blocks bigint, rows_there bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    all_blocks constant bigint := greatest(
        pg_relation_size(target) / current_setting('block_size')::integer, 1);
    share constant numeric := least(blocks, all_blocks)::numeric / all_blocks;
BEGIN
    RETURN least(rows_there - ceil(current_setting('audit_guard.login_max_keys')::integer * share),
                 64 * blocks);
END
$body$;
COMMENT ON FUNCTION audit._login_surplus(regclass, bigint, bigint) IS
    'internal: how many of the rows of some blocks have to go, when the whole table is like them';

CREATE FUNCTION audit._sweep_counters(first_block bigint, blocks bigint, max_rows integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    at constant timestamptz := clock_timestamp();
    day_ago constant timestamptz := at - interval '24 hours';
    begins_at constant tid := format('(%s,0)', first_block);
    ends_at constant tid := format('(%s,0)', first_block + blocks);
    tries constant integer := current_setting('audit_guard.login_max_attempts')::integer;
    minutes constant integer := audit._login_window();
    rows_there bigint;
    surplus bigint;
    swept integer;
    crowded_out integer := 0;
BEGIN
    DELETE FROM audit.login_counters c
    WHERE c.ctid = ANY (ARRAY(
        SELECT s.ctid
        FROM audit.login_counters s
        WHERE s.ctid >= begins_at AND s.ctid < ends_at
          AND (s.known_until > at OR s.reset_at > day_ago OR audit._newest_failure(s.failures) > day_ago)
              IS NOT TRUE
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS swept = ROW_COUNT;

    SELECT count(*) INTO rows_there
    FROM audit.login_counters s
    WHERE s.ctid >= begins_at AND s.ctid < ends_at AND (s.known_until > at) IS NOT TRUE;
    surplus := least(audit._login_surplus('audit.login_counters', blocks, rows_there), max_rows - swept);
    IF surplus > 0 THEN
        DELETE FROM audit.login_counters c
        WHERE c.ctid = ANY (ARRAY(
            SELECT s.ctid
            FROM audit.login_counters s
            WHERE s.ctid >= begins_at AND s.ctid < ends_at AND (s.known_until > at) IS NOT TRUE
              AND audit._has_room(s.failures, s.reset_at, at, tries, minutes, true)
            ORDER BY greatest(s.reset_at, audit._newest_failure(s.failures)) NULLS FIRST
            LIMIT surplus
            FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS crowded_out = ROW_COUNT;
    END IF;
    RETURN swept + crowded_out;
END
$body$;
COMMENT ON FUNCTION audit._sweep_counters(bigint, bigint, integer) IS
    'internal: removes what is over from some blocks of login_counters, and when there are too many also the '
    'oldest that block nobody; returns how many';

CREATE FUNCTION audit._sweep_networks(first_block bigint, blocks bigint, max_rows integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    at constant timestamptz := clock_timestamp();
    day_ago constant timestamptz := at - interval '24 hours';
    begins_at constant tid := format('(%s,0)', first_block);
    ends_at constant tid := format('(%s,0)', first_block + blocks);
    tries constant integer := audit._network_tries(
        current_setting('audit_guard.login_max_attempts')::integer);
    minutes constant integer := audit._login_window();
    rows_there bigint;
    surplus bigint;
    swept integer;
    crowded_out integer := 0;
BEGIN
    DELETE FROM audit.login_networks n
    WHERE n.ctid = ANY (ARRAY(
        SELECT s.ctid
        FROM audit.login_networks s
        WHERE s.ctid >= begins_at AND s.ctid < ends_at
          AND (audit._newest_failure(s.failures) > day_ago) IS NOT TRUE
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS swept = ROW_COUNT;

    SELECT count(*) INTO rows_there
    FROM audit.login_networks s
    WHERE s.ctid >= begins_at AND s.ctid < ends_at;
    surplus := least(audit._login_surplus('audit.login_networks', blocks, rows_there), max_rows - swept);
    IF surplus > 0 THEN
        DELETE FROM audit.login_networks n
        WHERE n.ctid = ANY (ARRAY(
            SELECT s.ctid
            FROM audit.login_networks s
            WHERE s.ctid >= begins_at AND s.ctid < ends_at
              AND audit._has_room(s.failures, NULL, at, tries, minutes, false)
            ORDER BY audit._newest_failure(s.failures) NULLS FIRST
            LIMIT surplus
            FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS crowded_out = ROW_COUNT;
    END IF;
    RETURN swept + crowded_out;
END
$body$;
COMMENT ON FUNCTION audit._sweep_networks(bigint, bigint, integer) IS
    'internal: the same for login_networks';

CREATE FUNCTION audit._some_block(target regclass, blocks bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN floor(random() * greatest(
        pg_relation_size(target) / current_setting('block_size')::integer - blocks + 1, 1));
END
$body$;
COMMENT ON FUNCTION audit._some_block(regclass, bigint) IS
    'internal: a block of a table, by chance, with so many blocks from there to its end';

-- Whoever makes a new row looks at one block, one time in sixteen: a block has some hundred rows, so what is
-- over cannot pile up, whether or not anybody else sweeps. At four, where there may be too many rows.
CREATE FUNCTION audit._blocks_to_sweep(target regclass) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN CASE WHEN pg_relation_size(target) / 64 > current_setting('audit_guard.login_max_keys')::integer
                THEN 4 ELSE 1 END;
END
$body$;
COMMENT ON FUNCTION audit._blocks_to_sweep(regclass) IS
    'internal: at how many blocks of a table to look when it got a new row';

CREATE FUNCTION audit._sweep_somewhere(is_new_account boolean, is_new_network boolean) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    swept integer := 0;
BEGIN
    IF is_new_account THEN
        FOR i IN 1 .. audit._blocks_to_sweep('audit.login_counters') LOOP
            swept := swept + audit._sweep_counters(audit._some_block('audit.login_counters', 1), 1, 1000);
        END LOOP;
    END IF;
    IF is_new_network THEN
        FOR i IN 1 .. audit._blocks_to_sweep('audit.login_networks') LOOP
            swept := swept + audit._sweep_networks(audit._some_block('audit.login_networks', 1), 1, 1000);
        END LOOP;
    END IF;
    RETURN swept;
END
$body$;
COMMENT ON FUNCTION audit._sweep_somewhere(boolean, boolean) IS
    'internal: removes what is over from one block of each table that got a new row, or some';

-- Accounts first, then networks, as everywhere: others may be waiting for both.
CREATE FUNCTION audit._sweep_attempts(max_rows integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    attempts audit.login_attempts[];
    a record;
BEGIN
    WITH late AS (
        DELETE FROM audit.login_attempts t
        WHERE t.id = ANY (ARRAY(
            SELECT s.id FROM audit.login_attempts s
            WHERE s.attempted_at < clock_timestamp() - interval '5 minutes'
            LIMIT max_rows
            FOR UPDATE SKIP LOCKED))
        RETURNING t.*)
    SELECT array_agg(l.*::audit.login_attempts) INTO attempts FROM late l;
    FOR a IN SELECT t.*, audit._account_key(t.email) AS account FROM unnest(attempts) t ORDER BY account LOOP
        PERFORM audit._fail_on_account(a.account, a.attempted_at, a.budget = 'account', a.email,
                                       a.ip_address);
    END LOOP;
    FOR a IN SELECT t.*, audit._account_key(t.email) AS account, audit._login_network(t.ip_address) AS network
             FROM unnest(attempts) t ORDER BY network LOOP
        PERFORM audit._fail_on_network(a.network, a.account, a.attempted_at, a.budget = 'account',
                                       a.ip_address);
        PERFORM audit._log_failure(a.id, a.attempted_at, a.email, a.ip_address, a.device_fingerprint,
                                   a.budget, NULL, NULL, '{"unfinished": true}');
    END LOOP;
    RETURN coalesce(cardinality(attempts), 0);
END
$body$;
COMMENT ON FUNCTION audit._sweep_attempts(integer) IS
    'internal: attempts that nobody finished within five minutes have failed; returns how many';

-- A thousand blocks from somewhere on: all of most tables, and of a large one in time every block.
CREATE FUNCTION audit._sweep_logins(max_rows integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    blocks constant bigint := 1000;
    swept integer := audit._sweep_attempts(max_rows);
BEGIN
    IF swept < max_rows THEN
        swept := swept + audit._sweep_counters(audit._some_block('audit.login_counters', blocks), blocks,
                                               max_rows - swept);
    END IF;
    IF swept < max_rows THEN
        swept := swept + audit._sweep_networks(audit._some_block('audit.login_networks', blocks), blocks,
                                               max_rows - swept);
    END IF;
    RETURN swept;
END
$body$;
COMMENT ON FUNCTION audit._sweep_logins(integer) IS
    'internal: removes counters and ends attempts that are over, up to so many rows; returns how many';
