-- Attack: REVOKE that hides the log from its readers
-- As: owner, superuser
-- On: stream

REVOKE SELECT ON {target} FROM audit_reader;
