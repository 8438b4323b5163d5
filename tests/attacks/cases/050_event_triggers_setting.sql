-- Attack: SET event_triggers = off, then DROP TABLE
-- As: superuser
-- Since: 17
-- Open without preload: a superuser may switch event triggers off with a setting

SET event_triggers = off;
DROP TABLE {leaf};
