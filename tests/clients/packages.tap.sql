-- packages.tap.sql
BEGIN;
SELECT plan(8);

SELECT has_trigger('public', 'packages', 'audit_packages', 'changes of packages are logged');
SELECT trigger_is('public', 'packages', 'audit_packages', 'audit', 'log_changes', 'by audit_guard');
SELECT is(exclude, '{secret}', 'the secret is left out')
FROM audit.tracked_tables WHERE target = 'packages'::regclass AND status = 'ok';

UPDATE packages SET status = 'picked_up', secret = 'y' WHERE id = 42;
SELECT is(new_values, '{"status": "picked_up"}', 'the change is logged, the secret not')
FROM audit.record_history('packages', 42) WHERE operation = 'UPDATE';

SELECT throws_ok('DELETE FROM audit.audit_log', '23001', NULL, 'the log cannot be deleted');
SELECT throws_ok('UPDATE audit.audit_log SET actor_id = NULL', '23001', NULL, 'nor changed');
SELECT throws_ok('TRUNCATE audit.audit_log', '23001', NULL, 'nor emptied');
SELECT function_privs_are('audit', 'enable_tracking',
    ARRAY['regclass', 'text[]', 'text[]', 'name', 'text', 'boolean', 'boolean'], 'public', ARRAY[]::text[],
    'not everybody may switch tracking on');

SELECT * FROM finish();
ROLLBACK;
