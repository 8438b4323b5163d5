\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(1, 5000)
BEGIN;
WITH u AS (
    UPDATE pgbench_accounts t SET abalance = t.abalance + :delta
    FROM pgbench_accounts p WHERE t.aid = :aid AND p.aid = :aid RETURNING p AS o, t AS n)
INSERT INTO lim.log (relid, op, old, new) SELECT 1, 'U', to_jsonb(u.o), to_jsonb(u.n) FROM u;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
WITH u AS (
    UPDATE pgbench_tellers t SET tbalance = t.tbalance + :delta
    FROM pgbench_tellers p WHERE t.tid = :tid AND p.tid = :tid RETURNING p AS o, t AS n)
INSERT INTO lim.log (relid, op, old, new) SELECT 1, 'U', to_jsonb(u.o), to_jsonb(u.n) FROM u;
WITH u AS (
    UPDATE pgbench_branches t SET bbalance = t.bbalance + :delta
    FROM pgbench_branches p WHERE t.bid = :bid AND p.bid = :bid RETURNING p AS o, t AS n)
INSERT INTO lim.log (relid, op, old, new) SELECT 1, 'U', to_jsonb(u.o), to_jsonb(u.n) FROM u;
WITH i AS (
    INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
    VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP) RETURNING pgbench_history AS r)
INSERT INTO lim.log (relid, op, new) SELECT 1, 'I', to_jsonb(i.r) FROM i;
END;
