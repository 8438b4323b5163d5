-- Attack: REASSIGN OWNED, then DROP OWNED
-- As: superuser

REASSIGN OWNED BY {owner} TO mallory;
\if plain, parted
DROP OWNED BY mallory CASCADE;
\endif
\finally
GRANT USAGE ON SCHEMA vault, shop TO mallory;
