-- Attack: COPY into pg_inherits puts the table under a parent of the attacker
-- As: superuser
-- On: plain
-- Open without preload: a superuser may write the catalogue

CREATE TABLE evil.parent (LIKE {target});
\run psql -X -c "COPY (SELECT '{target}'::regclass::oid, 'evil.parent'::regclass::oid, 1, false) TO STDOUT" \
| psql -X -v ON_ERROR_STOP=1 -c "COPY pg_inherits FROM STDIN"
