-- Attack: the file edited while the server is down, checksums computed anew
-- As: OS account
-- Open without preload: whoever has the files can write them
-- Open lockdown on: whoever has the files can write them
-- Open lockdown strict: whoever has the files can write them
-- On: stream, plain

\overwrite
