-- Attack: the data directory put back to an earlier state
-- As: OS account
-- Open without preload: an earlier state is whole in itself
-- Open lockdown on: an earlier state is whole in itself
-- Open lockdown strict: an earlier state is whole in itself
-- On: stream, plain

\stop
\run cp -a data earlier
\start
{insert};
\mark
\stop
\run rm -rf data && mv earlier data
\start
