-- Attack: the guard's triggers renamed
-- As: owner, superuser

ALTER TRIGGER {row_trigger} ON {target} RENAME TO gone;
ALTER TRIGGER {statement_trigger} ON {target} RENAME TO gone_too;
