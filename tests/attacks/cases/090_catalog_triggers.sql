-- Attack: the triggers switched off in pg_trigger, then DELETE
-- As: superuser
-- Open without preload: a superuser may write the catalogue
-- Travels: yes

UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname ~ '^(immutable|protect)_';
\reconnect
DELETE FROM {target};
