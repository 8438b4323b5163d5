-- The stored images: detail full, delta, changed; independence of session settings; types; changing tables.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA images;
SET search_path = images;
CREATE TABLE docs (id integer PRIMARY KEY, title text, body text);
SELECT audit.enable_tracking('docs', detail => 'delta');
SELECT t.mark();
-- delta: the new image whole, of the old one what changed
INSERT INTO docs VALUES (1, 'a', 'long'), (2, 'b', NULL);
UPDATE docs SET title = 'A' WHERE id = 1;
UPDATE docs SET body = 'short' WHERE id = 2;
UPDATE docs SET title = title;
DELETE FROM docs WHERE id = 2;
:news
-- changed: of both what changed
SELECT audit.enable_tracking('docs', detail => 'changed');
INSERT INTO docs VALUES (3, 'c', NULL);
UPDATE docs SET title = 'C', body = 'x' WHERE id = 3;
UPDATE docs SET id = 4 WHERE id = 3;
DELETE FROM docs WHERE id = 4;
SELECT operation, record_id, old_record_id, changed_fields, old_record, new_record FROM t.news();
-- the three read the same through record_history
SELECT operation, old_values, new_values FROM audit.record_history('docs', 1);
-- types: images are what to_jsonb gives
CREATE TYPE colour AS ENUM ('red', 'blue');
CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE place AS (street text, nr integer);
CREATE TABLE things (
    a smallint, b integer, c bigint PRIMARY KEY, d numeric, e real, f double precision, g boolean,
    h text, i varchar(20), j char(5), k "char", l name, m bytea, n uuid, o date, p time, q timetz,
    r timestamp, s timestamptz, t interval, u json, v jsonb, w inet, x cidr, y macaddr, z bit(4), aa varbit,
    ab integer[], ac text[], ad int4range, ae int4multirange, af colour, ag percent, ah place, ai place[],
    aj tsvector, ak point, al xml, am money, an oid, ao regclass, ap jsonb,
    aq numeric GENERATED ALWAYS AS (d * 2) STORED);
SELECT audit.enable_tracking('things');
SELECT t.mark();
INSERT INTO things VALUES (
    -32768, 2147483647, -9223372036854775808, 123456789012345678901234567890.123400, 0.1, 1e-300, true,
    E'a "quoted" \\ \t\n\u0001 \u00fc', 'b', 'c', 'd', 'e', '\xdeadbeef',
    '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000', '2026-02-28', '12:34:56.789', '12:34:56+02',
    '2026-02-28 12:34:56.5', '2026-02-28 12:34:56.5+02', '1 year 2 mons 3 days 04:05:06.7',
    '{"b":1, "a":[1,  2]}', '{"b":1, "a":[1,  2.50]}', '10.1.2.3/24', '10.1.0.0/16', '08:00:2b:01:02:03',
    B'1010', B'101', '{1,NULL,3}', '{"x y",NULL,"\""}', '[1,5)', '{[1,3),[5,8)}', 'blue', 42,
    '("High, St",7)',
    '{"(a,1)","(b,)"}', 'a:1 b:2', '(1,2)', NULL, NULL, 7, 'pg_class', '"only a string"');
INSERT INTO things (c, d, e, f, o, r, s) VALUES (0, 'NaN', 'Infinity', '-Infinity', 'infinity', '-infinity',
    'infinity');
INSERT INTO things (c, d, o, r, s) VALUES (1, '-0.00', '0044-03-15 BC', '0044-03-15 12:00 BC',
    '9999-12-31 23:59:59+00');
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL intervalstyle = postgres;
SET LOCAL bytea_output = hex;
SET LOCAL extra_float_digits = 1;
SELECT n.record_id, n.new_record = to_jsonb(th) AS equal,
    n.new_record::text = to_jsonb(th)::text AS same_text
    FROM t.news() n JOIN things th ON th.c::text = n.record_id ORDER BY n.id;
COMMIT;
-- images do not depend on what the writer's session has set
CREATE TABLE moments (id integer PRIMARY KEY, s timestamptz, q interval, m bytea, f double precision,
    d date);
SELECT audit.enable_tracking('moments');
SELECT t.mark();
SET timezone = 'Asia/Kathmandu';
SET intervalstyle = sql_standard;
SET bytea_output = escape;
SET extra_float_digits = -10;
SET datestyle = 'German';
INSERT INTO moments VALUES (1, '2026-07-01 12:00+00', '1 day 02:00', '\x6162ff', 0.1::float8 + 0.2::float8,
    '2026-07-01');
RESET timezone;
RESET intervalstyle;
RESET bytea_output;
RESET extra_float_digits;
RESET datestyle;
INSERT INTO moments SELECT 2, s, q, m, f, d FROM moments;
SELECT new_record - 'id' AS image FROM t.news();
-- long values, changed and unchanged
CREATE TABLE blobs (id integer PRIMARY KEY, big text, note text);
SELECT audit.enable_tracking('blobs');
SELECT t.mark();
INSERT INTO blobs SELECT 1, string_agg(md5(i::text), ''), 'x' FROM generate_series(1, 4000) i;
UPDATE blobs SET note = 'y';
UPDATE blobs SET big = big || '!';
UPDATE blobs SET big = big || '';
SELECT operation, changed_fields, length(old_record ->> 'big') AS old, length(new_record ->> 'big') AS new
    FROM t.news();
-- a table, its schema and its columns change under way: the log follows at once
CREATE TABLE early (id integer PRIMARY KEY, v text);
SELECT audit.enable_tracking('early');
SELECT t.mark();
INSERT INTO early VALUES (1, 'a');
ALTER TABLE early RENAME TO late;
INSERT INTO late VALUES (2, 'a');
ALTER TABLE late ADD COLUMN w integer DEFAULT 5, DROP COLUMN v;
INSERT INTO late VALUES (3);
ALTER TABLE late ALTER COLUMN w TYPE text USING 'w' || w;
UPDATE late SET w = 'w6' WHERE id = 3;
ALTER SCHEMA images RENAME TO pictures;
INSERT INTO pictures.late VALUES (4, 'z');
CREATE SCHEMA other;
ALTER TABLE pictures.late SET SCHEMA other;
INSERT INTO other.late VALUES (5, 'z');
ALTER SCHEMA pictures RENAME TO images;
SELECT table_schema, table_name, changed_fields, new_record FROM t.news();
-- tracked_tables says where it is now
SELECT table_schema, table_name, target, exclude, mask, tenant_column, detail, log_truncated_rows, phi,
    is_enabled, status
    FROM audit.tracked_tables WHERE table_name IN ('docs', 'late') ORDER BY table_name;
-- the trigger function may be attached by hand
CREATE TABLE byhand (id integer PRIMARY KEY, a text, b text, org_id integer);
CREATE TRIGGER mine AFTER INSERT OR UPDATE OR DELETE ON byhand FOR EACH ROW
    EXECUTE FUNCTION audit.log_changes('exclude=a', 'mask=b', 'detail=changed', 'phi', 'tenant=org_id');
INSERT INTO byhand VALUES (1, 'a', 'b', 6);
UPDATE byhand SET a = 'c';
UPDATE byhand SET b = 'c';
SELECT operation, record_id, changed_fields, old_record, new_record, phi_accessed, tenant_id FROM t.news();
SET client_min_messages = warning;
DROP SCHEMA images, other CASCADE;
