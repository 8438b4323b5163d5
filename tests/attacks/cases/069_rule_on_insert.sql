-- Attack: a rule that makes INSERT do nothing
-- As: owner, superuser

CREATE RULE quiet AS ON INSERT TO {target} DO INSTEAD NOTHING;
