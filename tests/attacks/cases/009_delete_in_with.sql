-- Attack: DELETE inside WITH, below a SELECT
-- As: plain role, owner, superuser

WITH gone AS (DELETE FROM {target} RETURNING 1) SELECT count(*) FROM gone;
