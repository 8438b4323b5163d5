-- Receipts, proofs and explanations of single rows.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
CREATE SCHEMA receipts;
CREATE TABLE receipts.visits (id integer PRIMARY KEY, patient text, email text);
SELECT audit.enable_tracking('receipts.visits');
SELECT audit.seal() > 0 AS done;
INSERT INTO receipts.visits VALUES (1, 'ada', 'ada@example.org'), (2, 'Bob "the" Ünï', NULL);
SELECT max(id) AS last, max(id) - 1 AS first FROM audit.audit_log \gset
-- not before it is sealed
SELECT code, message ~ 'sealed' AS why FROM t.try(format('SELECT audit.receipt(%L, %L)', 'audit_log', :last));
SELECT audit.seal() > 0 AS done;
CREATE TEMP TABLE taken AS SELECT audit.receipt('audit_log', :first) AS whole,
    audit.receipt('audit_log', :'last', disclose => '{record_id}') AS part;
SELECT whole ->> 'audit_guard_receipt' AS version, whole ->> 'stream' AS stream, whole ->> 'id' = :'first' AS id,
       jsonb_typeof(whole -> 'leaf_index') AS leaf_index, jsonb_array_length(whole -> 'inclusion') > 0 AS inclusion,
       starts_with(whole ->> 'checkpoint', (SELECT origin FROM audit.tree_head())) AS checkpoint
    FROM taken;
SELECT f ->> 'column' AS "column", f ->> 'form' AS form, f ->> 'key' AS key, f ->> 'value' AS value,
       f ? 'salt' AS has_salt, f ? 'commitment' AS has_commitment
    FROM taken, jsonb_array_elements(whole -> 'fields') WITH ORDINALITY e(f, n) WHERE f ->> 'form' <> '0' ORDER BY n;
SELECT f ->> 'column' AS "column", f ->> 'key' AS key, f ->> 'value' AS value, f ? 'commitment' AS has_commitment
    FROM taken, jsonb_array_elements(part -> 'fields') WITH ORDINALITY e(f, n) WHERE f ->> 'form' <> '0' ORDER BY n;
SELECT part::text ~ 'Bob' AS tells_too_much FROM taken;
-- whether it is intact
SELECT (audit.verify_receipt(whole)).code, (audit.verify_receipt(part)).code,
       (audit.verify_receipt(whole)).leaf_index = (whole ->> 'leaf_index')::bigint AS leaf FROM taken;
SELECT what, (audit.verify_receipt(changed)).code
    FROM taken, LATERAL (VALUES
    ('another value', replace(whole::text, 'ada@', 'eve@')::jsonb),
    ('another leaf', jsonb_set(whole, '{leaf_index}', '"0"')),
    ('another path', jsonb_set(whole, '{inclusion,0}', to_jsonb(repeat('A', 43) || '='))),
    ('no path', jsonb_set(whole, '{inclusion}', '[]')),
    ('no fields', jsonb_set(whole, '{fields}', '[]')),
    ('another id', jsonb_set(whole, '{id}', to_jsonb((:first + 1)::text))),
    ('another stream', jsonb_set(whole, '{stream}', '"holds"')),
    ('another schema', jsonb_set(whole, '{schema}', to_jsonb(replace(whole ->> 'schema', 'email', 'mail')
        || E'field 99 text plain x\n')))) v(what, changed);
SELECT code FROM unnest(ARRAY['{}', '[]', '1', 'null', '{"audit_guard_receipt": 2}']) r(receipt),
    audit.verify_receipt(r.receipt::jsonb);
SELECT code, message FROM t.try('SELECT audit.verify_receipt(NULL)');
SELECT (audit.verify_receipt(whole, 'x')).code <> 'ok' AS not_ok, (audit.verify_receipt(whole, '')).code <> 'ok' AS not_ok
    FROM taken;
-- explained: each field, and the leaf
SELECT field, stored_value, matches FROM audit.explain_row('audit_log', :first)
    WHERE field ~ '^(operation|record_id|table_name|new_record)$' ORDER BY field;
SELECT count(*) > 20 AS fields, bool_and(coalesce(matches, true)) AS all_match
    FROM audit.explain_row('audit_log', :'first');
SELECT count(*) > 5 AS fields, bool_and(coalesce(matches, true)) AS all_match
    FROM audit.explain_row('guard_events', (SELECT max(id) FROM audit.guard_events WHERE kind = 'tracking_enabled'));
-- what there is not
SELECT f.name, c.what, t.code IN ('22023', '42704', '22004') AS refused FROM (VALUES ('receipt'), ('explain_row'), ('proof')) f(name),
    (VALUES ('no stream', 'NULL, ''1'''), ('no id', '''audit_log'', NULL'), ('no such stream', '''nothing'', ''1'''),
    ('no number', '''audit_log'', ''x'''), ('no such row', '''audit_log'', ''999999999999'''),
    ('huge', '''audit_log'', ''99999999999999999999999'''), ('injected', '''audit_log'', ''1 OR true'''))
    c(what, arguments), t.try(format('SELECT audit.%s(%s)', f.name, c.arguments)) t ORDER BY 1, 2;
SELECT code FROM t.try(format('SELECT audit.receipt(%L, %L, %L)', 'audit_log', :first, '{nothing}'));
SELECT code, message ~ 'no signed checkpoint' AS why FROM t.try(format('SELECT audit.proof(%L, %L)', 'audit_log', :first));
-- who may
SET ROLE regress_reader;
SELECT count(*) > 20 AS fields FROM audit.explain_row('audit_log', :first);
SELECT (audit.verify_receipt(audit.receipt('audit_log', :first))).code;
SET ROLE regress_app;
SELECT code, message FROM unnest('{receipt,explain_row,proof}'::text[]) f(name),
    t.try(format('SELECT audit.%s(''audit_log'', ''1'')', f.name));
SELECT (audit.verify_receipt('{}')).code;
RESET ROLE;
SELECT audit.disable_tracking('receipts.visits', 'done');
DROP SCHEMA receipts CASCADE;
