WITH d AS (DELETE FROM bulk_t WHERE id % 2 = 0 RETURNING bulk_t AS r)
INSERT INTO lim.log (relid, op, old) SELECT 1, 'D', to_jsonb(d.r) FROM d;
