-- Attack: the table made part of another extension, which is then dropped
-- As: superuser
-- Extension: hstore
-- On: plain, parted

CREATE EXTENSION hstore SCHEMA evil;
ALTER EXTENSION hstore ADD TABLE {target};
DROP EXTENSION hstore CASCADE;
\finally
DROP EXTENSION hstore;
