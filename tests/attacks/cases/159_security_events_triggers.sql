-- Attack: the triggers of security events switched off, then DELETE
-- As: owner, superuser
-- On: stream

ALTER TABLE audit.security_events DISABLE TRIGGER ALL;
DELETE FROM audit.security_events;
DROP TRIGGER immutable_row ON audit.security_events;
DROP TRIGGER immutable_statement ON audit.security_events;
DELETE FROM audit.security_events;
