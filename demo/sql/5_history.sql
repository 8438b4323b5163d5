\echo
\echo '-- The life of package 42. Ada''s look at it is not here (excluded), nor what she rolled back.'
\echo
SELECT to_char(h.logged_at, 'HH24:MI:SS.MS') AS at, h.operation, coalesce(u.full_name, h.actor_id) AS who,
       h.old_values, h.new_values
FROM audit.record_history('packages', 42) h LEFT JOIN users u ON u.id::text = h.actor_id
ORDER BY h.logged_at, h.id;

\echo '-- A composite key is a JSON array. Masked columns: that the card changed is known, the card is not.'
\echo
SELECT operation, changed_fields, old_values, new_values -> 'card_token' AS new_token
FROM audit.record_history('move_deposits', '[1,1]');

\echo '-- With detail "delta" the long text of a document is not written a second time:'
\echo
SELECT operation, changed_fields, old_record, octet_length(new_record ->> 'scanned_text') AS text_bytes_new,
       octet_length(old_record ->> 'scanned_text') AS text_bytes_old
FROM audit.audit_log WHERE table_name = 'provider_documents' ORDER BY logged_at, id;

\echo '-- What was excluded, masked or rolled back, looked for in everything that the log holds:'
\echo
SELECT count(*) AS found FROM audit.audit_log l
WHERE l::text ~ 'last_viewed_at|tok_7f3a|tok_9c1d|DE02|outrageous';
