-- Attack: MERGE that updates, and one that deletes
-- As: plain role, owner, superuser

MERGE INTO {target} t USING generate_series(1, 60) s ON t.id = s
WHEN MATCHED THEN UPDATE SET {text} = 'forged';
MERGE INTO {target} t USING generate_series(1, 1000) s ON t.id = s
WHEN MATCHED THEN DELETE;
