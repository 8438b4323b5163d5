-- Attack: a trigger before the guard's that swallows DELETE, so that nobody is told
-- As: owner, superuser

CREATE FUNCTION evil.drop_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END
$$;
CREATE TRIGGER aaa BEFORE DELETE ON {leaf} FOR EACH ROW EXECUTE FUNCTION evil.drop_it();
DELETE FROM {target};
