-- Purpose: what the sealer, and those who wait for it, need beside the tables of the ledger.
-- Who may call: everybody calls wait_sealed; the rest is called by functions of ours.
-- Relies on: 67_ledger_tables.sql. The sealer itself is part of the preloaded library.

CREATE FUNCTION audit.wait_sealed(transaction_id bigint DEFAULT NULL, timeout interval DEFAULT '5 seconds')
RETURNS boolean
LANGUAGE c VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wait_sealed_wrapper';
COMMENT ON FUNCTION audit.wait_sealed(bigint, interval) IS
    'waits until what a transaction wrote is sealed; null: the last transaction of this session that wrote to a '
    'stream; false when the time is over before, and at once for what the present transaction itself writes';

-- A seal of another server, or of a copy, says nothing about transactions of this one.
CREATE FUNCTION audit._is_sealed(transaction_id text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN CASE WHEN (
        SELECT pg_visible_in_snapshot(_is_sealed.transaction_id::xid8, s.snapshot)
        FROM (SELECT n.* FROM audit.ledger_incarnations n ORDER BY n.incarnation DESC LIMIT 1) i
        CROSS JOIN LATERAL (
            SELECT b.snapshot, b.xmin, b.transaction_id, b.incarnation
            FROM audit.seals b WHERE b.is_last ORDER BY b.seal_no DESC LIMIT 1) s
        WHERE s.incarnation = i.incarnation
          AND s.xmin::text::bigint = s.transaction_id % 4294967296
          AND i.database_oid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())::bigint
          AND i.system_identifier = (SELECT c.system_identifier FROM pg_control_system() c)) THEN 'yes' ELSE 'no' END;
END
$body$;
COMMENT ON FUNCTION audit._is_sealed(text) IS
    'internal: whether the newest complete batch of seals of this server covers a transaction: yes or no';

CREATE FUNCTION audit._forget_ids() RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'forget_ids_wrapper';
COMMENT ON FUNCTION audit._forget_ids() IS
    'internal: has every session draw new ids for audit_log once this transaction is committed';

CREATE FUNCTION audit._resume_sealing() RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'resume_sealing_wrapper';
COMMENT ON FUNCTION audit._resume_sealing() IS
    'internal: has the sealer look again once this transaction is committed, after it had stopped for a reason';

-- The extension may have been here before, and the sealer may have stopped then.
SELECT audit._resume_sealing();
