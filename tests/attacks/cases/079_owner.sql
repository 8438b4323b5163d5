-- Attack: the table given to another owner
-- As: superuser

ALTER TABLE {target} OWNER TO mallory;
