-- Attack: pg_surgery kills the rows
-- As: superuser
-- Extension: pg_surgery
-- Open without preload: a function call that no trigger sees
-- Also refused with: 42883

CREATE EXTENSION pg_surgery SCHEMA evil;
SELECT evil.heap_force_kill('{leaf}', ARRAY(SELECT ctid FROM {leaf}));
\finally
DROP EXTENSION pg_surgery;
