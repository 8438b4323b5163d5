-- Attack: a trigger after the guard's that rewrites what is inserted
-- As: owner, superuser

CREATE FUNCTION evil.forge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.{text} := 'forged';
    RETURN NEW;
END
$$;
CREATE TRIGGER zzz BEFORE INSERT ON {leaf} FOR EACH ROW EXECUTE FUNCTION evil.forge();
