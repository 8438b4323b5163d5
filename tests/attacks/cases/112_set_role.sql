-- Attack: SET ROLE to the guard's roles, then DELETE and TRUNCATE
-- As: superuser
-- Fails anyway: 42501

SET ROLE audit_owner;
DELETE FROM audit.guard_events;
\reconnect
SET ROLE audit_admin;
DELETE FROM {target};
\reconnect
SET ROLE {owner};
DELETE FROM {target};
TRUNCATE {target};
