WITH i AS (
    INSERT INTO bulk_t (ref, customer, status, note, amount, meta) SELECT * FROM bulk_src
    RETURNING bulk_t AS r)
INSERT INTO lim.log (relid, op, new) SELECT 1, 'I', to_jsonb(i.r) FROM i;
