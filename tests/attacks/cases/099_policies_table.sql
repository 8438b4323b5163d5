-- Attack: the guard's own tables edited
-- As: superuser
-- On: stream, plain

UPDATE audit.guard_policies SET retention = '1 day';
DELETE FROM audit.guard_events;
TRUNCATE audit.guard_policies, audit.holds, audit.hold_releases;
DELETE FROM {target};
