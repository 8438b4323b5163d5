-- Attack: ALTER EXTENSION DROP of a table and an event trigger, then DROP
-- As: superuser
-- On: stream
-- Also refused with: 2BP01

ALTER EXTENSION audit_guard DROP EVENT TRIGGER audit_guard_drop;
DROP EVENT TRIGGER audit_guard_drop;
ALTER EXTENSION audit_guard DROP TABLE audit.guard_events;
DROP TABLE audit.guard_events CASCADE;
