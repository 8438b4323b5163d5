-- Attack: EXPLAIN ANALYZE of a DELETE
-- As: plain role, superuser

EXPLAIN ANALYZE DELETE FROM {target};
