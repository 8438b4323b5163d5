CREATE EXTENSION audit_guard;
\echo
\echo 'Five tables. What must not fill the log is excluded, what must not be in it is masked, and long'
\echo 'texts are kept once per change instead of twice.'
\echo
\o /dev/null
SELECT audit.enable_tracking('packages', exclude => '{last_viewed_at}');
SELECT audit.enable_tracking('providers', mask => '{iban}');
SELECT audit.enable_tracking('provider_documents', detail => 'delta');
SELECT audit.enable_tracking('move_requests');
SELECT audit.enable_tracking('move_deposits', mask => '{card_token}');
\o
\echo
SELECT target, exclude, mask, tenant_column, detail, status FROM audit.tracked_tables ORDER BY 1::text;
