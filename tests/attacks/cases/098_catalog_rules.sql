-- Attack: a rule moved onto the table in pg_rewrite
-- As: superuser
-- Open without preload: a superuser may write the catalogue

CREATE TABLE evil.bait (LIKE {target});
CREATE RULE quiet AS ON INSERT TO evil.bait DO INSTEAD NOTHING;
UPDATE pg_rewrite SET ev_class = '{target}'::regclass WHERE ev_class = 'evil.bait'::regclass;
UPDATE pg_class SET relhasrules = true WHERE oid = '{target}'::regclass;
