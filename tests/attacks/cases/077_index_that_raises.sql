-- Attack: an index on an expression that raises, so that nothing can be inserted
-- As: owner, superuser

CREATE FUNCTION evil.boom(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF coalesce(current_setting('evil.quiet', true), '') <> 'on' THEN
        RAISE EXCEPTION 'boom';
    END IF;
    RETURN $1;
END
$$;
SET evil.quiet = on;
CREATE INDEX boom ON {leaf} (evil.boom({text}));
