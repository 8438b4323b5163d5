-- Attack: another name for a column in pg_attribute
-- As: superuser
-- Open without preload: a superuser may write the catalogue

UPDATE pg_attribute SET attname = 'gone' WHERE attrelid = '{leaf}'::regclass AND attname = '{text}';
