-- Values however they are stored: short, compressed by each method, out of line, plain. Where a value lies is
-- no part of it: the images are the same, and moving it is no change.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA storage;
SET search_path = storage;
SET client_min_messages = warning;
CREATE TYPE pair AS (a text, b bytea);
CREATE FUNCTION text_of(length integer, compressible boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN compressible THEN repeat('é"', length / 2) || repeat('x', length % 2)
        ELSE (SELECT coalesce(substr(string_agg(md5(i::text), ''), 1, length), '')
              FROM generate_series(1, length / 32 + 1) i) END
$$;
CREATE FUNCTION same(stored jsonb, correct jsonb) RETURNS boolean LANGUAGE sql AS
    'SELECT coalesce(record_image_eq(ROW(stored), ROW(correct)), stored IS NULL AND correct IS NULL)';
-- What was logged for one statement: right images of the rows, the fields named, and nothing else.
CREATE FUNCTION check_log(what text, op text, fields text[], expected integer) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    found integer;
    wrong text;
BEGIN
    SELECT count(*), min(format('%s: key %s, %s', what, n.record_id, n.changed_fields))
               FILTER (WHERE n.operation::text <> op OR n.changed_fields IS DISTINCT FROM fields
                       OR NOT same(n.old_record, to_jsonb(o)) OR NOT same(n.new_record, to_jsonb(s)))
        INTO found, wrong
        FROM t.news() n LEFT JOIN before_it o ON o.k::text = n.record_id
            LEFT JOIN stored s ON s.k::text = n.record_id;
    IF wrong IS NOT NULL THEN
        RETURN NEXT wrong;
    END IF;
    IF found <> expected THEN
        RETURN NEXT format('%s: %s rows logged, %s expected', what, found, expected);
    END IF;
    DROP TABLE before_it;
    CREATE TEMP TABLE before_it AS TABLE stored;
END $$;
CREATE FUNCTION examine(kind text, method text) RETURNS SETOF text LANGUAGE plpgsql
SET bytea_output = 'hex' AS $$
DECLARE
    what text := kind || ' ' || method;
    rows integer;
    size integer;
    c text;
BEGIN
    CREATE TABLE stored (k serial PRIMARY KEY, t text, v varchar, b bytea, j jsonb, js json, n numeric,
                         a text[], p pair, note integer);
    CREATE TEMP TABLE before_it AS TABLE stored;
    FOREACH c IN ARRAY '{t,v,b,j,js,n,a,p}'::text[] LOOP
        EXECUTE format('ALTER TABLE stored ALTER %I SET STORAGE %s', c, kind);
        EXECUTE format('ALTER TABLE stored ALTER %I SET COMPRESSION %s', c, method);
    END LOOP;
    PERFORM audit.enable_tracking('stored'), t.mark();
    FOREACH size IN ARRAY '{0,1,2,62,63,125,126,127,128,129,250,1000,2010,2048,8192,70000}'::integer[] LOOP
        -- A plain row has to fit into a page.
        CONTINUE WHEN kind = 'plain' AND size > 250;
        INSERT INTO stored (t, v, b, j, js, n, a, p)
        SELECT x, x, convert_to(x, 'UTF8'), to_jsonb(x), to_json(x),
               (repeat('9', size) || '1.' || repeat('70', least(size, 8000)))::numeric,
               ARRAY[x, NULL, x], (x, convert_to(x, 'UTF8'))::pair
        FROM unnest('{t,f}'::boolean[]) compressible, text_of(size, compressible) x;
    END LOOP;
    SELECT count(*) INTO rows FROM stored;
    RETURN QUERY SELECT check_log(what || ' INSERT', 'INSERT', NULL, rows);
    UPDATE stored SET note = 1;
    RETURN QUERY SELECT check_log(what || ' beside', 'UPDATE', '{note}', rows);
    -- Made anew with the same content, it is stored anew, and is the same value.
    UPDATE stored SET t = t || '', v = v || '', b = b || '', j = j::text::jsonb, js = js::text::json,
                      n = n::text::numeric, a = a || '{}', p = ((p).a || '', (p).b || '');
    RETURN QUERY SELECT check_log(what || ' anew', 'UPDATE', NULL, 0);
    UPDATE stored SET note = 2, t = t || '', b = b || '';
    RETURN QUERY SELECT check_log(what || ' anew beside', 'UPDATE', '{note}', rows);
    UPDATE stored SET t = t || '!', b = b || '\x21', js = ('[' || js || ']')::json, p.b = (p).b || '\x21';
    RETURN QUERY SELECT check_log(what || ' changed', 'UPDATE', '{t,b,js,p}', rows);
    UPDATE stored SET v = overlay(v PLACING '?' FROM length(v)) WHERE v <> '';
    RETURN QUERY SELECT check_log(what || ' last character', 'UPDATE', '{v}', rows - 2);
    -- The same content under another method and strategy.
    ALTER TABLE stored ALTER t SET STORAGE EXTENDED, ALTER b SET STORAGE EXTERNAL,
        ALTER t SET COMPRESSION pglz;
    UPDATE stored SET t = t || '', b = b || '', v = v;
    RETURN QUERY SELECT check_log(what || ' moved', 'UPDATE', NULL, 0);
    UPDATE stored SET t = NULL, v = NULL, b = NULL, j = NULL, js = NULL, n = NULL, a = NULL, p = NULL;
    RETURN QUERY SELECT check_log(what || ' nulls', 'UPDATE', '{t,v,b,j,js,n,a,p}', rows);
    UPDATE stored SET t = text_of(9000, false), a = ARRAY[text_of(900, true)];
    RETURN QUERY SELECT check_log(what || ' from null', 'UPDATE', '{t,a}', rows);
    DELETE FROM stored;
    RETURN QUERY SELECT check_log(what || ' DELETE', 'DELETE', NULL, rows);
    DROP TABLE stored, before_it;
END $$;
-- Whether lz4 is there is a matter of how the server was built.
SELECT examine(kind, method) FROM unnest('{plain,main,external,extended}'::text[]) kind,
    unnest((SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression')) method;
-- pieces of values that another table stores out of line, in one transaction with that table's end
CREATE TABLE source (k integer PRIMARY KEY, big text, p pair);
INSERT INTO source SELECT 1, x, (x, convert_to(x, 'UTF8'))::pair FROM text_of(50000, false) x;
CREATE TABLE target (LIKE source INCLUDING ALL);
SELECT audit.enable_tracking('target');
SELECT t.mark();
BEGIN;
INSERT INTO target TABLE source;
UPDATE target SET big = s.big, p = s.p, k = 2 FROM source s;
DROP TABLE source;
COMMIT;
SELECT n.operation, n.record_id, n.old_record_id, n.changed_fields,
    same(n.new_record - 'k', to_jsonb(target) - 'k') AS right_values FROM t.news() n, target;
-- a value that is toasted only in the log, and one that is only in the table
CREATE TABLE many (k integer PRIMARY KEY, a text, b text, c text, d text, e text, f text);
SELECT audit.enable_tracking('many');
SELECT t.mark();
INSERT INTO many SELECT 1, x, x, x, x, x, x FROM text_of(1200, false) x;
UPDATE many SET f = 'short';
SELECT operation, changed_fields, length(new_record ->> 'a') AS a, length(old_record ->> 'f') AS old,
    length(new_record ->> 'f') AS new FROM t.news();
DROP SCHEMA storage CASCADE;
