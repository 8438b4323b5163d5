-- Every built-in type by itself, in arrays, composites and domains, and as a key: what is stored is byte for
-- byte what to_jsonb gives under the pinned settings, while the writing session has others.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA types;
SET search_path = types;
-- What begins with = is an expression, all else a literal of the type.
CREATE TABLE samples (ty name, expression text);
COPY samples FROM stdin (DELIMITER '#');
bool#true
bool#false
int2#-32768
int2#32767
int4#-2147483648
int4#2147483647
int8#-9223372036854775808
int8#9223372036854775807
float4#NaN
float4#-Infinity
float4#1e-45
float4#-0
float4#0.1
float8#NaN
float8#Infinity
float8#5e-324
float8#1.7976931348623157e308
float8#-0
float8#0.30000000000000004
numeric#NaN
numeric#Infinity
numeric#-Infinity
numeric#0.000
numeric#-1.10
numeric#= ('1' || repeat('0', 131071))::numeric
numeric#= ('-0.' || repeat('0', 16382) || '7')::numeric
numeric#= (repeat('98765', 2000) || '.' || repeat('43210', 2000))::numeric
money#= (-92233720368547758.08)::numeric::money
money#= 1234567.89::numeric::money
char#
char#= '\\200'::"char"
char#\\
bpchar#  blanks before
varchar#a "quoted" \\ value
text#= E'\\u0001\\t\\n\\u007f\\u2028\\U0001F600'::text
text#
name#= repeat('n', 63)::name
bytea#= '\\x'::bytea
bytea#= '\\x00ff5c22'::bytea
bytea#= decode(repeat('00ff5c', 20000), 'hex')
date#infinity
date#-infinity
date#4714-11-24 BC
date#5874897-12-31
time#24:00:00
time#00:00:00.000001
timetz#23:59:59.999999-15:59:59
timestamp#infinity
timestamp#-infinity
timestamp#4714-11-24 00:00:00 BC
timestamp#294276-12-31 23:59:59.999999
timestamptz#infinity
timestamptz#-infinity
timestamptz#4714-11-24 00:00:00+00 BC
timestamptz#294276-12-31 23:59:59.999999+00
timestamptz#1883-11-18 12:03:57-04:56:02
interval#-178000000 years
interval#1 year -2 mons 3 days -04:05:06.789
interval#0
uuid#FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF
json#{"b" : 1,"a": 1.10, "b":2}
json#= E' [ 1 ,\\n\\t-0.0, 1E5, "\\u00e9" ] '::json
json#null
jsonb#{"b": 1, "a": 1.10, "b": 2, "": [[], {}, null]}
jsonb#"a scalar"
jsonb#-0.00
jsonpath#strict $."a b"[last] ? (@ like_regex "^x" flag "i")
xml#<a b="c">&amp;<!-- x --></a>
point#(-0,1e300)
point#(NaN,-Infinity)
lseg#[(0.1,0.2),(1e-7,3)]
path#[(0,0),(1,1),(2,0)]
path#((0,0),(1,1),(2,0))
box#(1,2),(3,4)
polygon#((0,0),(0.1,1),(1,0))
line#{1,-1,0.1}
circle#<(0.1,-0),2.5>
inet#0.0.0.0/0
inet#::ffff:192.0.2.1/120
inet#192.0.2.7
cidr#2001:db8::/32
cidr#10.0.0.1/32
macaddr#08:00:2b:01:02:03
macaddr8#08:00:2b:ff:fe:01:02:03
bit#= B'1'::bit
bit#= B'1010101010101'
varbit#= B''::varbit
varbit#= repeat('10', 5000)::varbit
tsvector#= 'a:1A,2B fat:16383 it''''s'::tsvector
tsquery#= '!(''x y'':*A <2> b) | c'::tsquery
int2vector#1 -2 3
oidvector#0 4294967295
oid#4294967295
tid#(4294967295,65535)
xid#4294967295
cid#7
xid8#18446744073709551615
pg_lsn#FFFFFFFF/FFFFFFFF
pg_snapshot#10:20:10,14,15
txid_snapshot#10:20:10,14,15
refcursor#a cursor
aclitem#= makeaclitem(10, 0, 'SELECT', true)
regproc#now
regproc#0
regprocedure#pg_catalog.abs(integer)
regoper#pg_catalog.||/
regoperator#pg_catalog.+(integer,integer)
regclass#pg_class
regclass#4294967295
regclass#= 'types.samples'::regclass
regcollation#"C"
regtype#timestamp with time zone
regtype#= 'types.samples'::regtype
regrole#= 10::regrole
regnamespace#types
regconfig#english
regdictionary#english_stem
int4range#empty
int4range#(,)
int4range#[3,5]
int8range#[-9223372036854775808,9223372036854775807)
numrange#[1.10,NaN]
numrange#(-Infinity,2.00]
daterange#[-infinity,2026-02-28)
tsrange#["0044-03-15 12:00:00.5 BC",infinity]
tstzrange#["2026-03-29 02:30:00+01",)
int4multirange#{}
int4multirange#{[1,3),[5,8)}
int8multirange#{(,0),[7,)}
nummultirange#{[1.10,2.200],(3,NaN)}
datemultirange#{[2026-01-01,2026-02-01),[2026-03-01,infinity)}
tsmultirange#{["2026-01-01 01:02:03.4",)}
tstzmultirange#{["2026-03-29 02:30:00+01","2026-03-29 03:30:00+02"],["2026-10-25 02:30:00+02",)}
pg_node_tree#= (SELECT conbin FROM pg_catalog.pg_constraint WHERE contype = 'c' LIMIT 1)
pg_ndistinct#= (SELECT stxdndistinct FROM pg_catalog.pg_statistic_ext_data LIMIT 1)
pg_dependencies#= (SELECT stxddependencies FROM pg_catalog.pg_statistic_ext_data LIMIT 1)
pg_mcv_list#= (SELECT stxdmcv FROM pg_catalog.pg_statistic_ext_data LIMIT 1)
\.
UPDATE samples SET expression = CASE WHEN expression LIKE '= %' THEN substr(expression, 3)
                                     ELSE format('%L::pg_catalog.%I', expression, ty) END;
-- Nobody writes a value of these types; the catalogue has some.
CREATE TABLE measured AS SELECT i % 3 AS a, i % 6 AS b, i % 2 AS c FROM generate_series(1, 600) i;
CREATE STATISTICS measured_all ON a, b, c FROM measured;
ANALYZE measured;
-- Is a type of the server missing above? Of these no value can be had.
SELECT typname FROM pg_type
    WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typname NOT LIKE '\_%'
      AND typname NOT IN (SELECT ty FROM samples)
      AND typname NOT IN ('gtsvector', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary');
-- The right image of a row.
CREATE FUNCTION image(row_of_any anyelement) RETURNS jsonb LANGUAGE plpgsql
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET bytea_output = 'hex'
SET extra_float_digits = 1 SET quote_all_identifiers = off SET search_path = pg_catalog, pg_temp AS
    'BEGIN RETURN to_jsonb(row_of_any); END';
-- Stored bytes tell 1.0 from 1.00, which = on jsonb does not.
CREATE FUNCTION same(stored jsonb, correct jsonb) RETURNS boolean LANGUAGE sql AS
    'SELECT coalesce(record_image_eq(ROW(stored), ROW(correct)), stored IS NULL AND correct IS NULL)';
-- Whether the server can make a value of the type at all: xml is a matter of how it was built.
CREATE FUNCTION is_built_in(expression text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || expression;
    RETURN true;
EXCEPTION WHEN feature_not_supported THEN
    RETURN false;
END $$;
-- Makes one table of all shapes of a type, writes it in every way, and tells what is not as it should be.
CREATE FUNCTION examine(ty name) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    full_name text := format('pg_catalog.%I', ty);
    has_array boolean := (SELECT typarray <> 0 FROM pg_type WHERE oid = full_name::regtype);
    expressions text[] := ARRAY(SELECT s.expression FROM samples s WHERE s.ty = examine.ty);
    columns text := format('v %s', full_name);
    value text;
    row_values text;
    before audit.audit_log.id%TYPE := (SELECT coalesce(max(id), 0) FROM audit.audit_log);
    r record;
BEGIN
    IF has_array THEN
        EXECUTE format('CREATE TYPE inner_pair AS (a %1$s, gone int, b %1$s[])', full_name);
        ALTER TYPE inner_pair DROP ATTRIBUTE gone;
        EXECUTE format('CREATE TYPE outer_pair AS (p inner_pair, "Ps" inner_pair[], v %s)', full_name);
        EXECUTE format('CREATE DOMAIN narrow AS %s CHECK (true)', full_name);
        CREATE DOMAIN narrower AS narrow;
        EXECUTE format('CREATE DOMAIN narrows AS %s[]', full_name);
        CREATE DOMAIN pair_of AS inner_pair;
        columns := columns || format(', vs %1$s[], cube %1$s[][][], p inner_pair, ps inner_pair[],
            oo outer_pair, d narrow, dd narrower, ds narrow[], sd narrows, pd pair_of, pds pair_of[]',
            full_name);
    END IF;
    EXECUTE format('CREATE TABLE shapes (k serial PRIMARY KEY, %s)', columns);
    PERFORM audit.enable_tracking('shapes');
    -- Whole values, and in the last row null in every place that takes one.
    FOREACH value IN ARRAY expressions || format('NULL::%s', full_name) LOOP
        row_values := value;
        IF has_array THEN
            row_values := format('%1$s, ARRAY[%1$s, NULL, %1$s]::%2$s[],
                array_fill(%1$s, ARRAY[2, 1, 2], ARRAY[0, -5, 7]),
                (%1$s, ARRAY[%1$s, NULL])::inner_pair,
                ARRAY[NULL, (NULL, NULL), (%1$s, array_fill(%1$s, ARRAY[1, 2]))]::inner_pair[],
                ((%1$s, ''{}''), ARRAY[(%1$s, NULL)]::inner_pair[], %1$s)::outer_pair,
                %1$s, %1$s, ARRAY[%1$s, NULL]::narrow[], ARRAY[%1$s]::narrows,
                (%1$s, NULL)::inner_pair, ARRAY[(%1$s, NULL)::inner_pair]::pair_of[]', value, full_name);
        END IF;
        EXECUTE format('INSERT INTO shapes VALUES (DEFAULT, %s)', row_values);
    END LOOP;
    FOR r IN SELECT s.k, l.new_record, image(s) AS correct FROM shapes s
        LEFT JOIN audit.audit_log l ON l.id > before AND l.record_id = s.k::text
    LOOP
        IF NOT same(r.new_record, r.correct) THEN
            RETURN NEXT format('%s, INSERT %s: %s', ty, r.k, left(r.new_record::text, 300));
        END IF;
    END LOOP;
    -- Every row takes the value of the next one; where stored bytes differ, a field has changed.
    CREATE TEMP TABLE old_shapes AS TABLE shapes;
    SELECT max(id) INTO before FROM audit.audit_log;
    UPDATE shapes s SET v = n.v FROM shapes n WHERE n.k = s.k + 1;
    FOR r IN SELECT s.k, l.id, l.old_record, l.new_record, l.changed_fields, image(o) AS old, image(s) AS new,
                    record_image_ne(ROW(o.v), ROW(s.v)) AS changed
        FROM shapes s JOIN old_shapes o USING (k)
        LEFT JOIN audit.audit_log l ON l.id > before AND l.record_id = s.k::text
    LOOP
        IF r.changed <> (r.id IS NOT NULL) OR r.changed AND NOT (r.changed_fields = '{v}'
            AND same(r.old_record, r.old) AND same(r.new_record, r.new))
        THEN
            RETURN NEXT format('%s, UPDATE %s: %s -> %s', ty, r.k, left(r.old_record::text, 200),
                               left(r.new_record::text, 200));
        END IF;
    END LOOP;
    DROP TABLE old_shapes;
    DROP TABLE shapes;
    IF has_array THEN
        DROP DOMAIN pair_of, narrows, narrower, narrow;
        DROP TYPE outer_pair, inner_pair;
    END IF;
END $$;
-- As a key, where the type can be one.
CREATE FUNCTION examine_key(ty name) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    target text := format('keyed_%s', ty);
    value text;
    key text;
    before audit.audit_log.id%TYPE;
    r record;
BEGIN
    EXECUTE format('CREATE TABLE %I (v pg_catalog.%I PRIMARY KEY)', target, ty);
    PERFORM audit.enable_tracking(target::regclass);
    FOR value IN SELECT s.expression FROM samples s WHERE s.ty = examine_key.ty LOOP
        SELECT max(id) INTO before FROM audit.audit_log;
        BEGIN
            EXECUTE format('INSERT INTO %I VALUES (%s)', target, value);
        EXCEPTION WHEN program_limit_exceeded THEN
            -- Too long for the index of its own table.
            CONTINUE;
        END;
        -- A "char" becomes text or stays what it is: a caller has to say which.
        value := value || CASE ty WHEN 'char' THEN '::text' ELSE '' END;
        FOR r IN EXECUTE format('SELECT l.record_id, image(t) ->> ''v'' AS correct,
                (SELECT count(*) FROM audit.record_history(%4$L, %1$s)) AS by_value,
                (SELECT count(*) FROM audit.record_history(%4$L, %3$s)) AS by_text
            FROM %4$I t LEFT JOIN audit.audit_log l ON l.id > %2$s WHERE t.v = %1$s', value, before,
            -- What these look like as JSON is no literal of theirs.
            CASE WHEN ty IN ('int2vector', 'oidvector', 'jsonb') THEN 't.v::text'
                 ELSE 'image(t) ->> ''v''' END, target)
        LOOP
            key := r.correct;
            IF octet_length(key) > 2000 THEN
                key := 'sha256:' || encode(sha256(convert_to(key, 'UTF8')), 'hex');
            END IF;
            IF r.record_id IS DISTINCT FROM key OR r.by_value <> 1 OR r.by_text <> 1 THEN
                RETURN NEXT format('%s as a key: %s, should be %s (found %s, %s)', ty,
                                   left(r.record_id, 200), left(key, 200), r.by_value, r.by_text);
            END IF;
        END LOOP;
    END LOOP;
EXCEPTION WHEN undefined_object THEN
    -- No default operator class.
    NULL;
END $$;
-- The writer's settings, none of them the pinned ones.
SET client_min_messages = warning;
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET bytea_output = 'escape';
SET extra_float_digits = -3;
SET quote_all_identifiers = on;
SELECT examine(ty) FROM (SELECT ty FROM samples GROUP BY ty HAVING bool_and(is_built_in(expression))) t;
-- What the server keeps for itself, and has no arrays of, is nobody's key.
SELECT examine_key(t.ty) FROM (SELECT ty FROM samples GROUP BY ty HAVING bool_and(is_built_in(expression))) t
    JOIN pg_type p ON p.typname = t.ty AND p.typnamespace = 'pg_catalog'::regnamespace AND p.typarray <> 0;
SELECT count(*) >= 79 AS all_tried FROM (SELECT DISTINCT ty FROM samples) t;
-- The comparison sees what it is there for: the caller's settings make a difference, and so do digits.
SELECT same(to_jsonb(r), image(r)) AS settings_do_not_matter FROM (VALUES ('1 day'::interval)) r;
SELECT same('{"a": 1.0}', '{"a": 1.00}') AS digits_do_not_matter;
RESET ALL;
SET client_min_messages = warning;
DROP SCHEMA types CASCADE;
