-- Attack: the names of two columns swapped
-- As: owner, superuser

BEGIN;
ALTER TABLE {target} RENAME {text} TO between;
ALTER TABLE {target} RENAME {other} TO {text};
ALTER TABLE {target} RENAME between TO {other};
COMMIT;
