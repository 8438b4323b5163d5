CREATE EXTENSION audit_guard;
\echo
\echo 'Every table of the schema but two, and those that will be made in it:'
\echo
\o /dev/null
SELECT audit.enable_tracking_schema('public', except_tables => '{communities, users}');
\o
\echo
\echo 'What must not fill the log is excluded, what must not be in it is masked, and long texts are kept'
\echo 'once per change instead of twice.'
\echo
\o /dev/null
SELECT audit.enable_tracking('packages', exclude => '{last_viewed_at}');
SELECT audit.enable_tracking('providers', mask => '{iban}');
SELECT audit.enable_tracking('provider_documents', detail => 'delta');
SELECT audit.enable_tracking('move_deposits', mask => '{card_token}');
\o
\echo
SELECT target, exclude, mask, tenant_column, detail, status FROM audit.tracked_tables ORDER BY 1::text;
