-- Attack: MERGE RETURNING inside WITH
-- As: plain role, superuser
-- Since: 17

WITH gone AS (
    MERGE INTO {target} t USING generate_series(1, 1000) s ON t.id = s
    WHEN MATCHED THEN DELETE RETURNING t.id)
SELECT count(*) FROM gone;
