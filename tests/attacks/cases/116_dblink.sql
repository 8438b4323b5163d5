-- Attack: DELETE by a connection from the server to itself
-- As: superuser
-- Extension: dblink

CREATE EXTENSION dblink SCHEMA evil;
SELECT evil.dblink_exec('host={socket} user=postgres dbname={database}', 'DELETE FROM {target}');
\finally
DROP EXTENSION dblink;
