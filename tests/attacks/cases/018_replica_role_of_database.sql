-- Attack: replica mode as a setting of the database and of a role
-- As: superuser
-- Also refused with: 42501

ALTER DATABASE {database} SET session_replication_role = replica;
ALTER ROLE mallory SET session_replication_role = replica;
\as mallory
DELETE FROM {target};
\as postgres
DELETE FROM {target};
\finally
ALTER DATABASE {database} RESET session_replication_role;
ALTER ROLE mallory RESET session_replication_role;
