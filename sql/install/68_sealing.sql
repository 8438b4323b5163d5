-- Purpose: what the sealer, and those who wait for it, need beside the tables of the ledger.
-- Who may call: everybody calls wait_sealed; the rest is called by functions of ours.
-- Relies on: 67_ledger_tables.sql; _identity of 69_incarnations.sql, when it is called.

CREATE FUNCTION audit.wait_sealed(transaction_id bigint DEFAULT NULL, timeout interval DEFAULT '5 seconds')
RETURNS boolean
LANGUAGE c VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wait_sealed_wrapper';
COMMENT ON FUNCTION audit.wait_sealed(bigint, interval) IS
    'waits until all rows that a transaction wrote to streams are sealed; null: the last transaction that '
    'this session committed; false when the time is over before, and at once for what the present '
    'transaction writes';

-- A seal of another server, of a copy, or of an earlier life of the ledger says nothing about transactions
-- of this one.
CREATE FUNCTION audit._is_sealed(transaction_id text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    last record;
BEGIN
    SELECT s.incarnation, s.snapshot INTO last
    FROM audit.seals s WHERE s.is_last ORDER BY s.seal_no DESC LIMIT 1;
    RETURN CASE WHEN pg_visible_in_snapshot(_is_sealed.transaction_id::xid8, last.snapshot)
                     AND last.incarnation = (SELECT max(i.incarnation) FROM audit.ledger_incarnations i)
                     AND (audit._identity()).state = 'same'
                THEN 'yes' ELSE 'no' END;
END
$body$;
COMMENT ON FUNCTION audit._is_sealed(text) IS
    'internal: whether the newest complete batch of this database covers a transaction: yes or no';

CREATE FUNCTION audit._has_rows(transaction_id text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    own record;
    found_one boolean;
BEGIN
    -- The snapshots of a standby do not name what is still running on the primary.
    IF pg_is_in_recovery()
       OR NOT pg_visible_in_snapshot(_has_rows.transaction_id::xid8, pg_current_snapshot()) THEN
        RETURN 'unknown';
    END IF;
    FOR own IN SELECT s.table_schema, s.table_name FROM audit.ledger_streams s
               WHERE to_regclass(format('%I.%I', s.table_schema, s.table_name)) IS NOT NULL
               ORDER BY s.stream_no LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I r WHERE r.transaction_id = $1)',
                       own.table_schema, own.table_name)
        INTO found_one USING _has_rows.transaction_id::bigint;
        IF found_one THEN
            RETURN 'yes';
        END IF;
    END LOOP;
    RETURN 'no';
END
$body$;
COMMENT ON FUNCTION audit._has_rows(text) IS
    'internal: whether a transaction left rows in a stream: yes, no, or unknown while it '
    'runs, and on a standby';

CREATE FUNCTION audit._forget_ids() RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'forget_ids_wrapper';
COMMENT ON FUNCTION audit._forget_ids() IS
    'internal: has every session look, once this transaction is committed, whether its ids are given up';

CREATE FUNCTION audit._resume_sealing() RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'resume_sealing_wrapper';
COMMENT ON FUNCTION audit._resume_sealing() IS
    'internal: has the sealer look again once this transaction is committed, after it had stopped';

-- The extension may have been here before, and the sealer may have stopped then.
SELECT audit._resume_sealing();

CREATE FUNCTION audit._erase_row(
    stream text, number bigint, fields text[], transaction_id bigint DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'erase_row_wrapper';
COMMENT ON FUNCTION audit._erase_row(text, bigint, text[], bigint) IS
    'internal: erases fields of one row of a stream without touching its leaf, and returns as a JSON array '
    'those that were still there; the transaction of the row, where it is known, makes it quick to find';
