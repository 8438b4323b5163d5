-- Attack: settings that a guard might ask, invented by the session
-- As: plain role, superuser
-- Fails anyway: 42602

SET audit_guard.bypass = 'on';
SET audit_guard.maintenance = 'on';
SET audit.allow_delete = 'on';
SET app.retention_cleanup = 'true';
DELETE FROM {target};
