-- Attack: the role that owns the log given to a plain role
-- As: superuser
-- On: stream
-- Open without preload: no trigger sees commands about roles
-- Also refused with: 42501

GRANT audit_owner TO mallory;
\as mallory
SET ROLE audit_owner;
DELETE FROM {target};
\finally
REVOKE audit_owner FROM mallory;
