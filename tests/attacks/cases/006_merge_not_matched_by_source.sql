-- Attack: MERGE WHEN NOT MATCHED BY SOURCE
-- As: plain role, superuser
-- Since: 17

MERGE INTO {target} t USING generate_series(1, 2) s ON t.id = s
WHEN NOT MATCHED BY SOURCE THEN DELETE;
