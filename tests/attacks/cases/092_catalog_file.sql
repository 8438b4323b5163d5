-- Attack: pg_class gives the table the file of an empty one
-- As: superuser
-- Open without preload: a superuser may write the catalogue

CREATE TABLE evil.empty (LIKE {leaf} INCLUDING INDEXES);
UPDATE pg_class SET relfilenode = (SELECT relfilenode FROM pg_class WHERE oid = 'evil.empty'::regclass)
WHERE oid = '{leaf}'::regclass;
