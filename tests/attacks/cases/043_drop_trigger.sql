-- Attack: DROP TRIGGER, then DELETE
-- As: owner, superuser

DROP TRIGGER {row_trigger} ON {target};
DROP TRIGGER {statement_trigger} ON {target};
DELETE FROM {target};
