-- Attack: the server killed right after the commit
-- As: OS account
-- Harmless: what is committed survives a crash
-- On: stream

CHECKPOINT;
{insert};
\mark
\crash
