-- An independent, slow writer of the same log: plain plpgsql and SPI, nothing shared with the extension.
-- Who may call: attached by reference.track(), for tests only.
-- Relies on: to_jsonb() under pinned settings, record_image_ne (stored bytes of one column differ).

CREATE SCHEMA reference;

CREATE TABLE reference.audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id bigint NOT NULL,
    operation text NOT NULL,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    record_id text,
    old_record_id text,
    old_record jsonb,
    new_record jsonb,
    changed_fields text[],
    actor_id text,
    actor_source text,
    actor_role text NOT NULL,
    login_role text NOT NULL,
    tenant_id text,
    application_name text,
    phi_accessed boolean NOT NULL
);

CREATE TABLE reference.tracked (
    relid oid PRIMARY KEY,
    exclude text[] NOT NULL,
    mask text[] NOT NULL,
    tenant text,
    detail text NOT NULL,
    truncated_rows boolean NOT NULL
);

-- Only the named fields of an image.
CREATE FUNCTION reference.fields_of(image jsonb, fields text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(field, image -> field), '{}') FROM unnest(fields) AS field
$$;

-- What the log may show of a row.
CREATE FUNCTION reference.shown(image jsonb, exclude text[], mask text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT (image - exclude) || coalesce((SELECT jsonb_object_agg(field, NULL) FROM unnest(mask) AS field
                                          WHERE image ? field), '{}')
$$;

-- The columns that identify a row: primary key, else replica identity index, else none.
CREATE FUNCTION reference.key_columns(target oid) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM (SELECT indexrelid, indkey FROM pg_index WHERE indrelid = target AND (indisprimary OR indisreplident)
          ORDER BY indisprimary DESC LIMIT 1) AS i,
         unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place),
         pg_attribute AS a
    WHERE a.attrelid = target AND a.attnum = k.attnum
$$;

-- How the log names a row.
CREATE FUNCTION reference.key_of(image jsonb, key text[]) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN key IS NULL THEN NULL
                WHEN cardinality(key) = 1 THEN image ->> key[1]
                ELSE (SELECT '[' || string_agg((image -> k.name)::text, ',' ORDER BY k.place) || ']'
                      FROM unnest(key) WITH ORDINALITY AS k (name, place)) END
$$;

-- Writes one row; everything about "who" is read here from sources of the server's own.
CREATE FUNCTION reference.write(
    target oid, operation text, record_id text, old_record_id text, old_record jsonb, new_record jsonb,
    changed_fields text[], row_tenant text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor text := nullif(current_setting('ref.actor', true), '');
    declared_tenant text := nullif(current_setting('ref.tenant', true), '');
    login text;
BEGIN
    SELECT usename INTO STRICT login FROM pg_stat_activity WHERE pid = pg_backend_pid();
    INSERT INTO reference.audit_log (transaction_id, operation, table_schema, table_name, record_id,
        old_record_id, old_record, new_record, changed_fields, actor_id, actor_source, actor_role, login_role,
        tenant_id, application_name, phi_accessed)
    SELECT pg_current_xact_id()::text::bigint, operation, n.nspname, c.relname, record_id,
        old_record_id, old_record, new_record, changed_fields, actor,
            CASE WHEN actor IS NOT NULL THEN 'context' END,
        CASE current_setting('role') WHEN 'none' THEN login ELSE current_setting('role') END, login,
        coalesce(row_tenant, declared_tenant), nullif(current_setting('application_name'), ''),
        coalesce(nullif(current_setting('ref.phi', true), '')::boolean, false)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = target;
END $$;

CREATE FUNCTION reference.log_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET lc_monetary = 'C' AS $$
DECLARE
    opt reference.tracked;
    key text[] := reference.key_columns(TG_RELID);
    old_image jsonb;
    new_image jsonb;
    old_key text;
    new_key text;
    tenant text;
    comparison text;
    changed text[];
BEGIN
    SELECT * INTO STRICT opt FROM reference.tracked WHERE relid = TG_ARGV[0]::oid;
    IF TG_OP <> 'INSERT' THEN
        old_image := reference.shown(to_jsonb(OLD), opt.exclude, opt.mask);
        old_key := reference.key_of(old_image, key);
        tenant := old_image ->> opt.tenant;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_image := reference.shown(to_jsonb(NEW), opt.exclude, opt.mask);
        new_key := reference.key_of(new_image, key);
        tenant := new_image ->> opt.tenant;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT string_agg(format('CASE WHEN record_image_ne(ROW(($1).%1$I), ROW(($2).%1$I)) THEN %1$L END',
                                 attname), ', ' ORDER BY attnum)
        INTO comparison FROM pg_attribute
        WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped AND attname <> ALL (opt.exclude);
        EXECUTE format('SELECT array_remove(ARRAY[%s]::text[], NULL)', comparison) INTO changed
            USING OLD, NEW;
        IF changed = '{}' THEN
            RETURN NULL;
        END IF;
        IF opt.detail <> 'full' THEN
            old_image := reference.fields_of(old_image, changed);
        END IF;
        IF opt.detail = 'changed' THEN
            new_image := reference.fields_of(new_image, changed);
        END IF;
    END IF;
    PERFORM reference.write(TG_ARGV[0]::oid, TG_OP, coalesce(new_key, old_key),
        CASE WHEN TG_OP = 'UPDATE' AND new_key <> old_key THEN old_key END, old_image, new_image, changed,
            tenant);
    RETURN NULL;
END $$;

-- A row that TRUNCATE takes away is written like a deleted one, under the name of the operation.
CREATE FUNCTION reference.log_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET lc_monetary = 'C' AS $$
DECLARE
    opt reference.tracked;
    gone jsonb;
BEGIN
    SELECT * INTO STRICT opt FROM reference.tracked WHERE relid = TG_ARGV[0]::oid;
    IF opt.truncated_rows THEN
        FOR gone IN EXECUTE format('SELECT to_jsonb(t) FROM %s AS t', TG_ARGV[0]::oid::regclass) LOOP
            gone := reference.shown(gone, opt.exclude, opt.mask);
            PERFORM reference.write(TG_ARGV[0]::oid, 'TRUNCATE',
                reference.key_of(gone, reference.key_columns(TG_RELID)), NULL, gone, NULL, NULL,
                gone ->> opt.tenant);
        END LOOP;
    END IF;
    PERFORM reference.write(TG_ARGV[0]::oid, 'TRUNCATE', NULL, NULL, NULL, NULL, NULL, NULL);
    RETURN NULL;
END $$;

-- Tracks a table twice: by the extension and by the reference. The reference's triggers have the
-- extension's names plus a tilde, so that they fire right behind them.
CREATE FUNCTION reference.track(
    target regclass, exclude text[] DEFAULT '{}', mask text[] DEFAULT '{}', tenant text DEFAULT NULL,
    detail text DEFAULT 'full', truncated_rows boolean DEFAULT false
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ours record;
    twin text;
BEGIN
    PERFORM audit.enable_tracking(target, exclude => exclude, mask => mask,
                                  tenant_column => coalesce(tenant, ''), detail => detail,
                                  log_truncated_rows => truncated_rows);
    INSERT INTO reference.tracked VALUES (target, exclude, mask, tenant, detail, truncated_rows);
    FOR ours IN
        SELECT tgname, tgtype & 32 <> 0 AS truncates FROM pg_trigger
        WHERE tgrelid = target AND tgfoid = 'audit.log_changes'::regproc
    LOOP
        -- Names have at most 63 bytes; the last one is below the tilde whatever it is.
        twin := CASE WHEN octet_length(ours.tgname) = 63 THEN left(ours.tgname, -1) ELSE ours.tgname END
            || '~';
        IF ours.truncates THEN
            EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION reference.log_truncate(%s)',
                           twin, target, target::oid);
        ELSE
            EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s
                            FOR EACH ROW EXECUTE FUNCTION reference.log_row(%s)', twin, target, target::oid);
        END IF;
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', target, twin);
    END LOOP;
    IF (SELECT count(*) FROM pg_trigger WHERE tgrelid = target AND tgname LIKE '%~') <> 2 THEN
        RAISE EXCEPTION 'tracking % did not make one row and one truncate trigger', target;
    END IF;
END $$;

-- Transactions and places in them where the two logs differ, with both rows.
CREATE VIEW reference.differences AS
WITH ours AS (
    SELECT transaction_id, row_number() OVER (PARTITION BY transaction_id ORDER BY id) AS place,
           operation::text, table_schema, table_name, record_id, old_record_id, old_record, new_record,
           changed_fields, actor_id, actor_source, actor_role, login_role, tenant_id, application_name,
               phi_accessed
    FROM audit.audit_log
), theirs AS (
    SELECT transaction_id, row_number() OVER (PARTITION BY transaction_id ORDER BY id) AS place,
           operation, table_schema, table_name, record_id, old_record_id, old_record, new_record,
           changed_fields, actor_id, actor_source, actor_role, login_role, tenant_id, application_name,
               phi_accessed
    FROM reference.audit_log
)
SELECT transaction_id, place, ours::text AS ours, theirs::text AS theirs
FROM ours FULL JOIN theirs USING (transaction_id, place)
-- Both as text (values) and as stored bytes (layout of the images).
WHERE ours::text IS DISTINCT FROM theirs::text
   OR record_image_ne(ROW(ours.old_record), ROW(theirs.old_record))
   OR record_image_ne(ROW(ours.new_record), ROW(theirs.new_record));
