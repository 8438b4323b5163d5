-- Attack: the trigger function replaced, by its owner and by a superuser, then DELETE
-- As: superuser
-- Travels: yes

\as audit_owner
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN OLD;
END
$$;
\as postgres
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN OLD;
END
$$;
DELETE FROM {target};
