-- Attack: single-user mode without the library
-- As: OS account
-- Open without preload: whoever has the files can start the server as they like
-- Open lockdown on: whoever has the files can start the server as they like
-- Open lockdown strict: whoever has the files can start the server as they like
-- On: stream, plain

\single -c shared_preload_libraries=
ALTER TABLE {target} DISABLE TRIGGER ALL;
ALTER TABLE {leaf} DISABLE TRIGGER ALL;
DELETE FROM {leaf};
\end
