-- Attack: CREATE OR REPLACE TRIGGER under the guard's name, then DELETE
-- As: owner, superuser

CREATE FUNCTION evil.nothing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN OLD;
END
$$;
CREATE OR REPLACE TRIGGER {row_trigger} BEFORE DELETE ON {target}
FOR EACH ROW EXECUTE FUNCTION evil.nothing();
CREATE OR REPLACE TRIGGER {statement_trigger} BEFORE DELETE ON {target} EXECUTE FUNCTION evil.nothing();
DELETE FROM {target};
