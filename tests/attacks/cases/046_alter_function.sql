-- Attack: the trigger function given other settings, another owner and another name
-- As: superuser

ALTER FUNCTION {function}() SET search_path = evil;
ALTER FUNCTION {function}() OWNER TO mallory;
ALTER FUNCTION {function}() RENAME TO gone;
