-- Attack: another expression for a generated column
-- As: owner, superuser
-- On: plain, parted
-- Since: 17

ALTER TABLE {target} ALTER twice SET EXPRESSION AS (amount * 100);
