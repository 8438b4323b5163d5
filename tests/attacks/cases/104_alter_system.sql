-- Attack: ALTER SYSTEM takes the library away, restart, catalogue and DELETE, and back
-- As: OS account
-- Open without preload: a superuser may write the catalogue
-- Open lockdown on: without the library nothing holds a superuser back
-- On: stream, plain

ALTER SYSTEM SET shared_preload_libraries = 'plpgsql';
\restart
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname ~ '^(immutable|protect)_';
\reconnect
DELETE FROM {target};
\run rm -f data/postgresql.auto.conf
\restart
