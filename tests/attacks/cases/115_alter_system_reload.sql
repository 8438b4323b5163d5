-- Attack: replica mode and the guard's settings by ALTER SYSTEM and reload
-- As: superuser
-- Fails anyway: 42704
-- Also refused with: 42501

ALTER SYSTEM SET session_replication_role = replica;
ALTER SYSTEM SET audit_guard.lockdown = off;
SELECT pg_reload_conf();
SELECT pg_sleep(0.2);
\reconnect
DELETE FROM {target};
\finally
ALTER SYSTEM RESET session_replication_role;
ALTER SYSTEM RESET audit_guard.lockdown;
SELECT pg_reload_conf();
SELECT pg_sleep(0.2);
