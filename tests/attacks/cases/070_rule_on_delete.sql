-- Attack: a rule that makes DELETE do nothing, so that nobody is told
-- As: owner, superuser

CREATE RULE quiet AS ON DELETE TO {target} DO INSTEAD NOTHING;
DELETE FROM {target};
