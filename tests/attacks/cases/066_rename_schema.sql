-- Attack: the schema renamed and replaced
-- As: superuser
-- Also refused with: 42P06

ALTER SCHEMA {schema} RENAME TO gone;
CREATE SCHEMA {schema};
