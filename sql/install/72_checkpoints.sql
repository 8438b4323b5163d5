-- Purpose: signed heads of the tree: which keys count, what was imported, and how far the ledger has come.
-- Who may call: everybody asks tree_head and checkpoint; audit_writer imports; audit_admin decides about keys.
-- Relies on: 67_ledger_tables.sql, 68_ledger_streams.sql.

-- name+key id+key, where the id is made from the other two: a mistyped key is noticed.
CREATE FUNCTION audit._verifier_key_name(verifier_key text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    part constant text[] := regexp_match(verifier_key, '^([^+[:space:]]+)[+]([0-9a-f]{8})[+]([A-Za-z0-9+/]{44})$');
    key bytea;
BEGIN
    IF part IS NULL OR length(verifier_key) > 1000 THEN
        RETURN NULL;
    END IF;
    key := decode(part[3], 'base64');
    -- 1 is Ed25519.
    RETURN CASE WHEN length(key) = 33 AND get_byte(key, 0) = 1
                     AND encode(substr(sha256(convert_to(part[1], 'UTF8') || '\x0a'::bytea || key), 1, 4), 'hex')
                         = part[2]
                THEN part[1] END;
END
$body$;
COMMENT ON FUNCTION audit._verifier_key_name(text) IS
    'internal: the name in a public key for signed notes; null when it is no such key';

CREATE FUNCTION audit.trust_key(verifier_key text, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    retry constant text := 'audit-guard keygen makes a key and prints what to call: '
                           'SELECT audit.trust_key(''name+id+key'', ''why'');';
    named constant text := audit._verifier_key_name(verifier_key);
BEGIN
    IF verifier_key IS NULL THEN
        RAISE EXCEPTION 'verifier_key must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF named IS NULL THEN
        RAISE EXCEPTION 'verifier_key is no Ed25519 key for signed notes'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    PERFORM audit._check_reason(reason, retry);
    IF EXISTS (SELECT FROM audit.ledger_key_withdrawals w
               WHERE w.verifier_key = trust_key.verifier_key) THEN
        RAISE EXCEPTION 'the key % was withdrawn, for ever', named
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = retry;
    END IF;
    INSERT INTO audit.ledger_keys (verifier_key, key_name, trusted_by, reason)
    VALUES (trust_key.verifier_key, named, who.login_role, trust_key.reason)
    ON CONFLICT ON CONSTRAINT ledger_keys_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE NOTICE 'the key % is trusted already', named;
        RETURN;
    END IF;
    PERFORM audit._record_event('key_trusted', named, reason,
                                jsonb_build_object('verifier_key', verifier_key));
END
$body$;
COMMENT ON FUNCTION audit.trust_key(text, text) IS
    'says that signatures of this public key on checkpoints count; the private key must be kept on another host';

CREATE FUNCTION audit.withdraw_key(verifier_key text, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    retry constant text := 'SELECT verifier_key FROM audit.ledger_keys;';
    named text;
BEGIN
    IF verifier_key IS NULL THEN
        RAISE EXCEPTION 'verifier_key must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    END IF;
    PERFORM audit._check_reason(reason, 'SELECT audit.withdraw_key(''name+id+key'', ''why'');');
    SELECT k.key_name INTO named
    FROM audit.ledger_keys k WHERE k.verifier_key = withdraw_key.verifier_key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this key was never trusted' USING ERRCODE = 'undefined_object', HINT = retry;
    END IF;
    INSERT INTO audit.ledger_key_withdrawals (verifier_key, withdrawn_by, reason)
    VALUES (withdraw_key.verifier_key, who.login_role, withdraw_key.reason)
    ON CONFLICT ON CONSTRAINT ledger_key_withdrawals_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the key % was withdrawn already', named
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = retry;
    END IF;
    PERFORM audit._record_event('key_withdrawn', named, reason,
                                jsonb_build_object('verifier_key', verifier_key));
END
$body$;
COMMENT ON FUNCTION audit.withdraw_key(text, text) IS
    'says that signatures of this public key count no more, neither new ones nor those already imported';

CREATE FUNCTION audit._trusted_keys() RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT coalesce(array_agg(k.verifier_key ORDER BY k.trusted_at, k.verifier_key), '{}')
    FROM audit.ledger_keys k
    WHERE NOT EXISTS (SELECT FROM audit.ledger_key_withdrawals w WHERE w.verifier_key = k.verifier_key)
$body$;
COMMENT ON FUNCTION audit._trusted_keys() IS 'internal: the public keys whose signatures count';

-- A signature is looked at again each time, because its key may have been withdrawn since.
CREATE FUNCTION audit._signed_checkpoint(size bigint) RETURNS audit.checkpoints
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    keys constant text[] := audit._trusted_keys();
    candidate audit.checkpoints;
BEGIN
    FOR candidate IN
        SELECT c.* FROM audit.checkpoints c
        WHERE keys <> '{}' AND (_signed_checkpoint.size IS NULL OR c.size = _signed_checkpoint.size)
        ORDER BY c.size DESC, c.id DESC
    LOOP
        IF (SELECT bool_or(n.is_signed) FROM audit._open_note(candidate.note, keys) n) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RETURN NULL;
END
$body$;
COMMENT ON FUNCTION audit._signed_checkpoint(bigint) IS
    'internal: the checkpoint of a size, or the largest one, that a trusted key has signed; null: none';

CREATE FUNCTION audit.checkpoint(size bigint DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF size < 0 THEN
        RAISE EXCEPTION 'size must not be negative'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT audit.checkpoint();';
    END IF;
    RETURN (audit._signed_checkpoint(size)).note;
END
$body$;
COMMENT ON FUNCTION audit.checkpoint(bigint) IS
    'the signed note of the largest tree that somebody outside of the database signed, or of the tree of this '
    'size; null when there is none. Keep copies elsewhere: they are what verification compares with';

CREATE FUNCTION audit.tree_head() RETURNS audit.ledger_head
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    here constant record := audit._ledger_position();
    signed constant audit.checkpoints := audit._signed_checkpoint(NULL);
    head audit.ledger_head;
BEGIN
    head := (here.origin, here.size, encode(here.root, 'base64'), here.sealed_at,
             (SELECT u.waiting FROM audit._unsealed() u), signed.size, signed.imported_at);
    RETURN head;
END
$body$;
COMMENT ON FUNCTION audit.tree_head() IS
    'name, size and hash of the tree, how many rows wait to be sealed, and how much of it is signed';

-- A tree of that name can have had at most this many leaves here: a new name begins where the old one ended.
CREATE FUNCTION audit._leaves_of_origin(origin text) RETURNS bigint
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT max(CASE WHEN later.first_seal IS NULL
                    THEN coalesce((SELECT s.size_after FROM audit.seals s ORDER BY s.seal_no DESC LIMIT 1), 0)
                    ELSE coalesce((SELECT s.first_leaf FROM audit.seals s WHERE s.seal_no = later.first_seal),
                                  (SELECT s.size_after FROM audit.seals s ORDER BY s.seal_no DESC LIMIT 1), 0) END)
    FROM audit.ledger_incarnations i
    LEFT JOIN LATERAL (SELECT l.first_seal FROM audit.ledger_incarnations l
                       WHERE l.incarnation > i.incarnation AND l.origin <> i.origin
                       ORDER BY l.incarnation LIMIT 1) later ON true
    WHERE i.origin = _leaves_of_origin.origin
$body$;
COMMENT ON FUNCTION audit._leaves_of_origin(text) IS
    'internal: how large the tree of this name became here; null when there never was one';

-- A note of somebody who is not us: looked at before anything of it is believed.
CREATE FUNCTION audit._read_note(
    note text, retry text, OUT origin text, OUT size bigint, OUT root bytea, OUT key_name text,
    OUT is_signed boolean)
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF octet_length(note) > 65536 THEN
        RAISE EXCEPTION 'the note is longer than 65536 bytes'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    SELECT n.origin, n.size, n.root, n.key_name, n.is_signed INTO origin, size, root, key_name, is_signed
    FROM audit._open_note(note, audit._trusted_keys()) n
    ORDER BY n.is_signed DESC, n.key_name LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the note is no checkpoint'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    is_signed := coalesce(is_signed, false);
END
$body$;
COMMENT ON FUNCTION audit._read_note(text, text) IS
    'internal: what a checkpoint says, and whether a trusted key signed it; refuses what is no checkpoint';

CREATE FUNCTION audit.import_checkpoint(note text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    said record;
    known_leaves bigint;
    checkpoint_id bigint;
    -- Copying through a shell loses or doubles the newline at the end, which no signature covers.
    tidied constant text := rtrim(note, E'\n') || E'\n';
BEGIN
    IF note IS NULL THEN
        RAISE EXCEPTION 'note must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'audit-guard witness signs and imports checkpoints.';
    END IF;
    said := audit._read_note(note, 'audit-guard witness signs and imports checkpoints.');
    known_leaves := audit._leaves_of_origin(said.origin);
    IF known_leaves IS NULL THEN
        RAISE EXCEPTION 'the checkpoint is of another tree'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT origin FROM audit.tree_head();';
    ELSIF NOT said.is_signed THEN
        RAISE EXCEPTION 'no trusted key has signed this checkpoint'
            USING ERRCODE = 'invalid_authorization_specification',
                  HINT = 'If the key is right: SELECT audit.trust_key(''name+id+key'', ''why'');';
    ELSIF said.size > known_leaves THEN
        RAISE EXCEPTION 'the checkpoint is of % leaves, and the tree has %: it was larger once', said.size,
            known_leaves
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT * FROM audit.verify(checkpoint => ''the note'');';
    ELSIF said.size = 0 OR audit._tree_root(said.size) IS DISTINCT FROM said.root THEN
        RAISE EXCEPTION 'the checkpoint does not agree with the tree of % leaves', said.size
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT * FROM audit.verify(checkpoint => ''the note'');';
    END IF;
    LOCK TABLE audit.checkpoints IN SHARE ROW EXCLUSIVE MODE;
    SELECT c.id INTO checkpoint_id
    FROM audit.checkpoints c WHERE c.size = said.size AND c.note = tidied;
    IF NOT FOUND THEN
        INSERT INTO audit.checkpoints (size, root, origin, note, key_name, imported_by)
        VALUES (said.size, said.root, said.origin, tidied, said.key_name, who.login_role)
        RETURNING id INTO checkpoint_id;
    END IF;
    RETURN checkpoint_id;
END
$body$;
COMMENT ON FUNCTION audit.import_checkpoint(text) IS
    'stores a signed checkpoint, if it is of this tree, agrees with it, and a trusted key signed it; returns its '
    'number';

CREATE FUNCTION audit.record_export(from_size bigint, to_size bigint, root bytea, destination text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    who constant audit.request_context := audit.current_context();
    retry constant text := 'audit-guard export prints what to call.';
    export_id bigint;
BEGIN
    IF from_size IS NULL OR to_size IS NULL OR root IS NULL OR destination IS NULL THEN
        RAISE EXCEPTION 'from_size, to_size, root and destination must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = retry;
    ELSIF from_size < 0 OR from_size >= to_size OR destination !~ '\S' THEN
        RAISE EXCEPTION 'from_size must lie before to_size, and destination must not be blank'
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    ELSIF to_size > (SELECT p.size FROM audit._ledger_position() p)
          OR audit._tree_root(to_size) IS DISTINCT FROM root THEN
        RAISE EXCEPTION 'root is not the hash of the tree of % leaves', to_size
            USING ERRCODE = 'invalid_parameter_value', HINT = retry;
    END IF;
    INSERT INTO audit.ledger_exports (from_size, to_size, root, destination, exported_by)
    VALUES (record_export.from_size, record_export.to_size, record_export.root, record_export.destination,
            who.login_role)
    RETURNING id INTO export_id;
    RETURN export_id;
END
$body$;
COMMENT ON FUNCTION audit.record_export(bigint, bigint, bytea, text) IS
    'says that the leaves from_size to to_size are kept elsewhere, after an export was checked; with '
    'audit_guard.archive_before_drop on, only what was exported leaves by retention. Returns its number';
