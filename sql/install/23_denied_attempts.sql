-- Purpose: refused attempts to change what is protected: who, when, from where, what.
-- Who may call: audit_reader reads; only the recorder, a worker of the preloaded library, writes.
-- Relies on: 20_audit_log.sql for the manner of its columns; months are made by 40_partitions.sql.

CREATE SEQUENCE audit.denied_attempts_id_seq AS bigint;
COMMENT ON SEQUENCE audit.denied_attempts_id_seq IS 'numbers the rows of denied_attempts';

-- As audit_log: no key and no index on the parent. A table of its own, so that a flood of attempts can be
-- removed when its time has come, which guard_events never are.
CREATE TABLE audit.denied_attempts (
    id bigint NOT NULL DEFAULT nextval('audit.denied_attempts_id_seq'),
    attempted_at timestamptz NOT NULL,
    layer text COLLATE "C" NOT NULL,
    command text COLLATE "C" NOT NULL,
    object text COLLATE "C",
    actor_id text COLLATE "C",
    actor_role text COLLATE "C" NOT NULL,
    login_role text COLLATE "C" NOT NULL,
    client_ip inet,
    application_name text COLLATE "C",
    lost_before bigint NOT NULL DEFAULT 0,
    transaction_id bigint NOT NULL,
    salt uuid DEFAULT gen_random_uuid(),
    redaction bytea,
    CONSTRAINT denied_attempts_layer CHECK (layer IN ('trigger', 'event_trigger', 'hook')),
    CONSTRAINT denied_attempts_time CHECK (isfinite(attempted_at)),
    CONSTRAINT denied_attempts_lost CHECK (lost_before >= 0)
) PARTITION BY RANGE (attempted_at);

COMMENT ON TABLE audit.denied_attempts IS
    'refused attempts to change what is protected, although their transactions were rolled back; '
    'append-only, in one partition per month; written when audit_guard is in shared_preload_libraries';
COMMENT ON COLUMN audit.denied_attempts.id IS 'number of the row';
COMMENT ON COLUMN audit.denied_attempts.attempted_at IS 'clock time at which the attempt was refused';
COMMENT ON COLUMN audit.denied_attempts.layer IS
    'what refused it: a trigger on the table, an event_trigger, or a hook of the preloaded library';
COMMENT ON COLUMN audit.denied_attempts.command IS 'the refused command';
COMMENT ON COLUMN audit.denied_attempts.object IS 'the table or object that it was about';
COMMENT ON COLUMN audit.denied_attempts.actor_id IS
    'the acting person, as declared or as in the JWT; never proof';
COMMENT ON COLUMN audit.denied_attempts.actor_role IS
    'the role in force; a definer function does not hide it';
COMMENT ON COLUMN audit.denied_attempts.login_role IS 'the role that logged in';
COMMENT ON COLUMN audit.denied_attempts.client_ip IS 'the address of the person, else of the connection';
COMMENT ON COLUMN audit.denied_attempts.application_name IS 'application_name of the connection';
COMMENT ON COLUMN audit.denied_attempts.lost_before IS
    'attempts just before this one of which only the number is known, because too many came at once '
    '(audit_guard.denial_slots); the server''s log has them';
COMMENT ON COLUMN audit.denied_attempts.transaction_id IS
    'the transaction that wrote the row (64 bit); that of the attempt was rolled back';
COMMENT ON COLUMN audit.denied_attempts.salt IS 'random, so that a commitment to this row cannot be guessed';
COMMENT ON COLUMN audit.denied_attempts.redaction IS 'what remains provable of values that were erased';
COMMENT ON CONSTRAINT denied_attempts_layer ON audit.denied_attempts IS 'the layers there are';
COMMENT ON CONSTRAINT denied_attempts_time ON audit.denied_attempts IS 'infinity belongs to no month';
COMMENT ON CONSTRAINT denied_attempts_lost ON audit.denied_attempts IS 'a number of attempts';

ALTER TABLE audit.denied_attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON audit.denied_attempts FOR SELECT TO audit_reader USING (true);
COMMENT ON POLICY readers ON audit.denied_attempts IS
    'members of audit_reader see everything, nobody else anything';

-- Called by the recorder, with a JSON array in the order of the attempts.
CREATE FUNCTION audit._record_denied(attempts text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    recorded bigint;
BEGIN
    -- Few months, because the attempt shall be seen within a second; maintain_partitions() makes the others.
    IF NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = 'audit.denied_attempts'::regclass) THEN
        PERFORM audit._maintain_stream('audit.denied_attempts', 'attempted_at', 2);
    END IF;
    INSERT INTO audit.denied_attempts
        (attempted_at, layer, command, object, actor_id, actor_role, login_role, client_ip, application_name,
         lost_before, transaction_id)
    SELECT a.attempted_at, a.layer, a.command, a.object, a.actor_id, a.actor_role, a.login_role, a.client_ip,
           a.application_name, a.lost_before, pg_current_xact_id()::text::bigint
    FROM ROWS FROM (jsonb_to_recordset(attempts::jsonb)
                    AS (attempted_at timestamptz, layer text, command text, object text, actor_id text,
                        actor_role text, login_role text, client_ip inet, application_name text,
                        lost_before bigint))
         WITH ORDINALITY a(attempted_at, layer, command, object, actor_id, actor_role, login_role, client_ip,
                           application_name, lost_before, place)
    ORDER BY a.place;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    RETURN recorded::text;
END
$body$;
COMMENT ON FUNCTION audit._record_denied(text) IS
    'internal: writes refused attempts, given as a JSON array, and returns their number';
