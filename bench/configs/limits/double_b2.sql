WITH u AS (
    UPDATE bulk_t t SET status = t.status || '!', updated_at = now()
    FROM bulk_t p WHERE t.id = p.id
    RETURNING p AS o, t AS n)
INSERT INTO lim.log (relid, op, old, new) SELECT 1, 'U', to_jsonb(u.o), to_jsonb(u.n) FROM u;
