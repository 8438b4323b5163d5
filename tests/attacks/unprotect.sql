-- Takes the guard away where no library holds a superuser back: what is left is the same database without
-- any protection. Here each attack must do the damage that it is about.
UPDATE pg_event_trigger SET evtenabled = 'D';
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname ~ '^(immutable|protect)_';
UPDATE pg_class SET relrowsecurity = false WHERE relnamespace = 'audit'::regnamespace;
GRANT ALL ON ALL TABLES IN SCHEMA audit TO mallory;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA audit TO mallory;
