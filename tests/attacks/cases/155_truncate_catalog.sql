-- Attack: TRUNCATE of pg_event_trigger, then DROP TABLE
-- As: superuser
-- Open without preload: a superuser may write the catalogue

SET allow_system_table_mods = on;
TRUNCATE pg_event_trigger;
DROP TABLE {leaf};
