-- Attack: row security without a policy, so that readers see nothing
-- As: owner, superuser

\if stream
DROP POLICY readers ON {target};
\endif
ALTER TABLE {target} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {target} FORCE ROW LEVEL SECURITY;
