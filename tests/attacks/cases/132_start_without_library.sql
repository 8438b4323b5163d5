-- Attack: the server started without the library by an option, catalogue and DELETE, and back
-- As: OS account
-- Open without preload: a superuser may write the catalogue
-- Open lockdown on: without the library nothing holds a superuser back
-- Open lockdown strict: without the library nothing holds a superuser back
-- On: stream, plain

\restart -c shared_preload_libraries=
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname ~ '^(immutable|protect)_';
\reconnect
DELETE FROM {target};
\restart
