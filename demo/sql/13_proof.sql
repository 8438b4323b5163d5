\echo '-- Every row of the log and of the events is a leaf of one tree; a worker seals what was committed:'
\echo
SELECT size AS leaves, left(root_hash, 16) || '...' AS root, unsealed_rows FROM audit.tree_head();
\echo
\echo '-- Whether each of them is still what was sealed:'
\echo
SELECT code, rows_checked FROM audit.verify();
\echo
\echo '-- Ada wants one of her notes erased. The value goes, its place in the tree stays provable:'
\echo
SELECT id AS change FROM audit.audit_log
WHERE new_record ->> 'note' IS NOT NULL AND operation = 'UPDATE' ORDER BY id LIMIT 1 \gset
SET client_min_messages = warning;
SELECT audit.redact('audit_log', :change, '{note}', 'GDPR 17(1)(b)', 'HD-92') AS event;
SELECT operation, record_id, new_record -> 'note' AS note FROM audit.audit_log WHERE id = :change;
SELECT pg_sleep(1.5) \gset
SELECT code, split_part(detail, 'authorised ', 2) AS authorised FROM audit.verify();
\echo
\echo '-- A receipt proves one change to somebody who does not have this database:'
\echo
SELECT code, detail FROM audit.verify_receipt(audit.receipt('audit_log', :change));
