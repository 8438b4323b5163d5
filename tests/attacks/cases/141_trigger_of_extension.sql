-- Attack: the triggers made part of another extension, which is then dropped
-- As: superuser
-- Extension: hstore

CREATE EXTENSION hstore SCHEMA evil;
ALTER TRIGGER {statement_trigger} ON {target} DEPENDS ON EXTENSION hstore;
DROP EXTENSION hstore CASCADE;
TRUNCATE {target};
\finally
DROP EXTENSION hstore;
