-- Attack: session_replication_role = replica, then UPDATE of security events
-- As: superuser
-- On: stream

SET session_replication_role = replica;
UPDATE audit.security_events SET description = 'forged';
