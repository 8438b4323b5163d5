-- Keys and checkpoints: which are refused. Those that a witness signs are tried outside of the database.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
BEGIN;
-- the key of an example, and what is nearly one
\set key 'example.org/witness+e6b2164f+AdFyKOL6mo1v3oVcfD/vo8M+XXRTQf9IFlfW5Rc5FM7h'
SET LOCAL ROLE regress_admin;
SELECT code, message FROM unnest(ARRAY['', 'x', 'a+b+c', 'example.org/witness', :'key' || 'x',
    replace(:'key', 'witness', 'Witness'), replace(:'key', '+e6', '+00'), replace(:'key', 'AdF', 'BdF'),
    'a b' || :'key', repeat('x', 5000) || :'key', E'a\nb' || :'key']) k(key),
    t.try(format('SELECT audit.trust_key(%L, ''why'')', k.key));
SELECT code, message, hint FROM unnest(ARRAY['NULL, ''why''', quote_literal(:'key') || ', NULL',
    quote_literal(:'key') || ', '' ''']) a(arguments), t.try(format('SELECT audit.trust_key(%s)', a.arguments));
SELECT code, message, hint FROM t.try(format('SELECT audit.withdraw_key(%L, ''why'')', :'key'));
SELECT code, message FROM t.try('SELECT audit.withdraw_key(NULL, ''why'')');
-- trusted, twice, withdrawn, twice, and never again
SELECT audit.trust_key(:'key', 'the witness of the auditor');
SELECT audit.trust_key(:'key', 'again');
SELECT code, message FROM t.try(format('SELECT audit.withdraw_key(%L, NULL)', :'key'));
SELECT audit.withdraw_key(:'key', 'stolen');
SELECT code, message FROM t.try(format('SELECT audit.withdraw_key(%L, ''why'')', :'key'));
SELECT code, message FROM t.try(format('SELECT audit.trust_key(%L, ''why'')', :'key'));
RESET ROLE;
SELECT key_name, trusted_by = session_user AS by_me, reason FROM audit.ledger_keys;
SELECT withdrawn_by = session_user AS by_me, reason FROM audit.ledger_key_withdrawals;
SELECT kind, object, reason, detail ->> 'verifier_key' = :'key' AS key FROM audit.guard_events
    WHERE kind LIKE 'key%' ORDER BY id;
ROLLBACK;
CREATE SCHEMA signed;
CREATE TABLE signed.visits (id integer PRIMARY KEY);
SELECT audit.enable_tracking('signed.visits');
SELECT audit.seal() > 0 AS done;
INSERT INTO signed.visits SELECT generate_series(1, 20);
SELECT audit.seal() > 20 AS done;
SELECT origin, size, root_hash FROM audit.tree_head() \gset
-- notes that are none, of another tree, not signed, signed by nobody we know
SELECT n.what, t.code, CASE WHEN t.message !~ '^this is no' THEN t.message END AS message FROM (VALUES ('null', NULL), ('empty', ''), ('text', 'x'),
    ('no size', format(E'%s\n\n%s\n\n— k AAAA\n', :'origin', :'root_hash')),
    ('size of letters', format(E'%s\nten\n%s\n\n— k AAAA\n', :'origin', :'root_hash')),
    ('short hash', format(E'%s\n%s\nAAAA\n\n— k AAAA\n', :'origin', :size)),
    ('other tree', format(E'%s\n%s\n%s\n\n— k AAAAAAAA\n', 'elsewhere', :size, :'root_hash')),
    ('foreign signature', format(E'%s\n%s\n%s\n\n— k %s\n', :'origin', :size, :'root_hash', repeat('A', 92))),
    ('only a head', format(E'%s\n%s\n%s\n', :'origin', :size, :'root_hash'))) n(what, note),
    t.try(format('SELECT audit.import_checkpoint(%L)', n.note)) t;
SELECT code, message FROM t.try($$SELECT audit.import_checkpoint(repeat('x', 70000))$$);
SELECT count(*) AS stored FROM audit.checkpoints;
SELECT code FROM audit.verify(checkpoint => format(E'%s\n%s\n%s\n\n— k %s\n', :'origin', :size, :'root_hash',
    repeat('A', 92)));
-- before the first one there is none
SELECT audit.checkpoint(), audit.checkpoint(0), audit.checkpoint(:size);
SELECT code, message FROM t.try('SELECT audit.checkpoint(-1)');
SELECT signed_size, signed_at FROM audit.tree_head();
-- one tree is the beginning of another: as many hashes as the sizes need
SELECT audit.consistency(:size, :size) = '' AS nothing;
SELECT code, message ~ 'there is no proof' AS why FROM unnest(ARRAY['-1, 1', '2, 1', '0, 9223372036854775807']) a(sizes),
    t.try(format('SELECT audit.consistency(%s)', a.sizes));
SELECT code, message FROM t.try('SELECT audit.consistency(NULL, 1)');
SELECT count(*) FILTER (WHERE NOT audit._is_beginning(a.size_after, a.root_after, b.size_after, b.root_after)) AS wrong,
       count(*) FILTER (WHERE audit._is_beginning(a.size_after, sha256(a.root_after), b.size_after, b.root_after))
       AS not_noticed
    FROM audit.seals a JOIN audit.seals b ON a.seal_no <= b.seal_no AND b.seal_no < a.seal_no + 5;
-- exports are noted when they are true
SET ROLE regress_admin;
SELECT code, message FROM unnest(ARRAY['NULL, 1, ''x'', ''tape''', '0, NULL, ''x'', ''tape''', '0, 1, NULL, ''tape''',
    '0, 1, ''x'', NULL', '1, 1, ''x'', ''tape''', '-1, 1, ''x'', ''tape''', '0, 1, ''x'', '' ''',
    '0, 1, ''\x00'', ''tape''', '0, 9223372036854775807, ''x'', ''tape''']) a(arguments),
    t.try(format('SELECT audit.record_export(%s)', a.arguments));
BEGIN;
SELECT audit.record_export(0, :size, decode(:'root_hash', 'base64'), 'tape 7') > 0 AS noted;
RESET ROLE;
SELECT from_size, to_size = :size AS all_of_it, destination, exported_by = session_user AS by_me
    FROM audit.ledger_exports;
ROLLBACK;
-- who may
SET ROLE regress_app;
SELECT code, message FROM unnest(ARRAY[format('audit.trust_key(%L, ''x'')', :'key'),
    format('audit.withdraw_key(%L, ''x'')', :'key'), 'audit.import_checkpoint(''x'')',
    'audit.record_export(0, 1, ''x'', ''y'')', 'audit._open_note(''x'', ''{}'')', 'audit._tree_root(1)',
    'audit._signed_checkpoint(1)']) c(call), t.try('SELECT ' || c.call);
SELECT audit.checkpoint() IS NULL AS none, length(audit.consistency(1, 1)) AS length;
RESET ROLE;
SELECT audit.disable_tracking('signed.visits', 'done');
DROP SCHEMA signed CASCADE;
