\set id random(1, 100000)
\set k random(1, 1000000)
WITH u AS (
    UPDATE orders_upd t SET status = 'paid' || :k, updated_at = now()
    FROM orders_upd p WHERE t.id = :id AND p.id = :id
    RETURNING p AS o, t AS n)
INSERT INTO lim.log (relid, op, old, new) SELECT 1, 'U', to_jsonb(u.o), to_jsonb(u.n) FROM u;
