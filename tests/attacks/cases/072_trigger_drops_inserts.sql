-- Attack: a BEFORE INSERT trigger that drops rows
-- As: owner, superuser

CREATE FUNCTION evil.drop_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END
$$;
CREATE TRIGGER aaa BEFORE INSERT ON {leaf} FOR EACH ROW EXECUTE FUNCTION evil.drop_it();
