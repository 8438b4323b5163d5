-- Attack: replica mode by a right on the setting that a superuser gave
-- As: plain role
-- Travels: yes

\as postgres
GRANT SET ON PARAMETER session_replication_role TO mallory;
\as mallory
SET session_replication_role = replica;
UPDATE {target} SET {text} = 'forged';
DELETE FROM {target};
TRUNCATE {target};
\finally
REVOKE SET ON PARAMETER session_replication_role FROM mallory;
