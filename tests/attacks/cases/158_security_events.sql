-- Attack: UPDATE, DELETE and TRUNCATE of security events
-- As: plain role, owner, superuser
-- On: stream
-- Travels: yes

UPDATE audit.security_events SET description = 'forged';
DELETE FROM audit.security_events;
TRUNCATE audit.security_events;
