-- Attack: the triggers switched off through a view of pg_trigger, then DELETE
-- As: superuser
-- Open without preload: a superuser may write the catalogue

CREATE VIEW evil.window AS SELECT * FROM pg_trigger;
UPDATE evil.window SET tgenabled = 'D' WHERE tgname ~ '^(immutable|protect)_';
\reconnect
DELETE FROM {target};
