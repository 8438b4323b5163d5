-- Attack: DELETE inside a trigger of another table
-- As: plain role, owner, superuser
-- Also refused with: 42883

CREATE TABLE evil.bait (id int);
CREATE FUNCTION evil.spring() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {target};
    RETURN NULL;
END
$$;
CREATE TRIGGER spring AFTER INSERT ON evil.bait EXECUTE FUNCTION evil.spring();
INSERT INTO evil.bait VALUES (1);
