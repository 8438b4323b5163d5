-- Attack: a SECURITY DEFINER function of the owner or a superuser, called by a plain role
-- As: owner, superuser
-- Also refused with: 42883

CREATE FUNCTION evil.helper() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    DELETE FROM {target};
$$;
\as mallory
SELECT evil.helper();
