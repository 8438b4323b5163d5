-- What is attacked: the log, filled by a tracked table, and two protected tables with rows of all ages.
CREATE EXTENSION audit_guard;
SELECT audit.maintain_partitions(1);
GRANT audit_reader TO auditor;

CREATE SCHEMA shop AUTHORIZATION vault_owner;
CREATE TABLE shop.orders (id bigserial PRIMARY KEY, note text NOT NULL);
ALTER TABLE shop.orders OWNER TO vault_owner;
SELECT audit.enable_tracking('shop.orders');
INSERT INTO shop.orders (note) SELECT 'order ' || i FROM generate_series(1, 100) i;
UPDATE shop.orders SET note = note || ', paid' WHERE id <= 60;
DELETE FROM shop.orders WHERE id > 60;

CREATE SCHEMA vault AUTHORIZATION vault_owner;
CREATE TYPE vault.kind AS ENUM ('letter', 'payment', 'visit');
CREATE TABLE vault.records (
    id bigserial PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind vault.kind NOT NULL DEFAULT 'letter',
    note text NOT NULL,
    amount numeric(10, 2) NOT NULL DEFAULT 1,
    twice numeric GENERATED ALWAYS AS (amount * 2) STORED
);
CREATE TABLE vault.parts (
    id bigserial,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind vault.kind NOT NULL DEFAULT 'letter',
    note text NOT NULL,
    amount numeric(10, 2) NOT NULL DEFAULT 1,
    twice numeric GENERATED ALWAYS AS (amount * 2) STORED,
    CONSTRAINT parts_pkey PRIMARY KEY (id, created_at, kind)
) PARTITION BY RANGE (created_at);
CREATE TABLE vault.parts_old PARTITION OF vault.parts FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE vault.parts_now PARTITION OF vault.parts FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)
    PARTITION BY LIST (kind);
CREATE TABLE vault.parts_now_letter PARTITION OF vault.parts_now FOR VALUES IN ('letter');
CREATE TABLE vault.parts_now_rest PARTITION OF vault.parts_now DEFAULT;
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['vault.records', 'vault.parts'] LOOP
        -- A quarter of the rows is older than the retention, the youngest are of now.
        EXECUTE format(
            'INSERT INTO %s (created_at, kind, note, amount)
             SELECT clock_timestamp() - age, kind, concat_ws('' '', kind, n, age), n
             FROM unnest(''{10 years, 3 years, 30 days, 1 second}''::interval[]) age,
                  unnest(enum_range(NULL::vault.kind)) kind, generate_series(1, 8) n', target);
    END LOOP;
    FOR target IN SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'vault'::regnamespace
        AND c.relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO vault_owner', target);
        EXECUTE format('GRANT ALL ON %s TO mallory', target);
        EXECUTE format('GRANT SELECT ON %s TO auditor', target);
        EXECUTE format('GRANT SELECT, INSERT ON %s TO clerk', target);
    END LOOP;
END
$$;
ALTER TYPE vault.kind OWNER TO vault_owner;
GRANT USAGE ON SCHEMA vault, shop TO mallory, clerk, auditor;
GRANT ALL ON shop.orders TO mallory, clerk;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA vault, shop TO clerk, mallory;
SELECT audit.protect(target, '7 years', 'created_at')
FROM unnest('{vault.records, vault.parts}'::regclass[]) target;

-- Logins and sessions: somebody who is blocked, a network that is, a try under way, and somebody who is in.
SELECT audit.log_security_event('login_failed', email => 'ada@example.org', ip_address => '192.0.2.0'::inet + i)
FROM generate_series(1, 10) i;
SELECT audit.log_security_event('login_failed', email => i || '@example.org', ip_address => '198.51.100.9')
FROM generate_series(1, 12) i;
SELECT audit.begin_login_attempt('kim@example.org', '203.0.113.9');
SELECT audit.create_user_session(subject => 'kim', ip_address => '203.0.113.9');
