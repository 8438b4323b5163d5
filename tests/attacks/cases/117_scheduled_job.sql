-- Attack: a job of the operating system that deletes old rows
-- As: OS account
-- On: stream

\run psql -X -c "DELETE FROM {target}"
