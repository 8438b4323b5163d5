-- Attack: the event triggers switched off in pg_event_trigger, then DROP TABLE
-- As: superuser
-- Open without preload: a superuser may write the catalogue

UPDATE pg_event_trigger SET evtenabled = 'D';
\reconnect
DROP TABLE {leaf};
