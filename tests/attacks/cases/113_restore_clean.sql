-- Attack: pg_restore --clean of the schema without rows
-- As: OS account
-- On: stream, plain
-- Fails anyway: 42P16, 2BP01, 42P07, 42P06, 42710, 42809

\run pg_dump -Fc --schema-only -n {schema} -f schema.dump && \
pg_restore --clean --if-exists -d $PGDATABASE schema.dump
