-- Attack: GRANT of rights to write the log
-- As: owner, superuser
-- On: stream

GRANT INSERT, UPDATE, DELETE, TRUNCATE ON {leaf} TO clerk;
GRANT ALL ON audit.guard_events TO PUBLIC;
