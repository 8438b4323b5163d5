-- Protected tables of all sorts with rows of all ages, and a hold: what the tests of the guard begin with.
-- Who may call: loaded by those tests as superuser; the schema app may be there already.
-- Relies on: the extension, nothing protected yet.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clerk') THEN
        CREATE ROLE clerk LOGIN;
    END IF;
END $$;
CREATE SCHEMA IF NOT EXISTS app;
GRANT USAGE ON SCHEMA app TO clerk;

-- Old rows are there before protection begins: 1 to 10 are expired, 11 to 20 are not.
CREATE TABLE app.consents (
    id int PRIMARY KEY, subject text, note text, created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO app.consents SELECT i, 'p' || i, 'signed', now() - interval '8 years' + i * interval '1 day'
FROM generate_series(1, 10) AS i;
INSERT INTO app.consents SELECT i, 'p' || i, 'signed', now() - interval '1 year'
FROM generate_series(11, 20) AS i;
ALTER TABLE app.consents ADD CONSTRAINT numbered CHECK (id >= 0) NOT VALID;
ALTER TABLE app.consents ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON app.consents USING (true);
SELECT audit.protect('app.consents');
SELECT audit.enable_tracking('app.consents');

-- Partitioned and tracked; its old rows come later, as a restore brings them.
CREATE TABLE app.visits (id int, place text, occurred_at timestamptz, PRIMARY KEY (id, occurred_at, place))
    PARTITION BY RANGE (occurred_at);
CREATE TABLE app.visits_old PARTITION OF app.visits FOR VALUES FROM (MINVALUE) TO ('2019-01-01');
CREATE TABLE app.visits_new PARTITION OF app.visits FOR VALUES FROM ('2019-01-01') TO (MAXVALUE)
    PARTITION BY LIST (place);
CREATE TABLE app.visits_here PARTITION OF app.visits_new FOR VALUES IN ('here');
CREATE TABLE app.visits_rest PARTITION OF app.visits_new DEFAULT;
SELECT audit.enable_tracking('app.visits');
SELECT audit.protect('app.visits', '6 years');
BEGIN;
SELECT audit.begin_restore('the paper files');
INSERT INTO app.visits SELECT i, 'here', '2015-06-01'::timestamptz + i * interval '1 day'
FROM generate_series(1, 10) AS i;
INSERT INTO app.visits SELECT i, CASE WHEN i % 2 = 0 THEN 'here' ELSE 'there' END, now() - interval '2 years'
FROM generate_series(11, 20) AS i;
COMMIT;

-- A name that has to be quoted, a date, a trigger of its own that changes rows before they are stored, and
-- one that is switched off.
CREATE TABLE app."Ünï ""q"" t" ("Nr" int PRIMARY KEY, "When" date NOT NULL, note text);
CREATE FUNCTION app.tidy() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.note := btrim(NEW.note); RETURN NEW; END $$;
CREATE TRIGGER tidy BEFORE INSERT ON app."Ünï ""q"" t" FOR EACH ROW EXECUTE FUNCTION app.tidy();
CREATE TRIGGER unused AFTER INSERT ON app."Ünï ""q"" t" FOR EACH ROW EXECUTE FUNCTION app.tidy();
ALTER TABLE app."Ünï ""q"" t" DISABLE TRIGGER unused;
INSERT INTO app."Ünï ""q"" t" SELECT i, current_date - 40, ' old ' FROM generate_series(1, 5) AS i;
INSERT INTO app."Ünï ""q"" t" SELECT i, current_date - 10, ' new ' FROM generate_series(6, 9) AS i;
SELECT audit.protect('app."Ünï ""q"" t"', '30 days', 'When');

-- Beside them a table that nobody protects.
CREATE TABLE app.drafts (id int PRIMARY KEY, consent_id int REFERENCES app.consents, body text);
INSERT INTO app.drafts SELECT i, i, 'draft' FROM generate_series(11, 15) AS i;
GRANT ALL ON ALL TABLES IN SCHEMA app TO clerk;

SELECT audit.place_hold('app.consents', 'case 7', record_ids => '{3}');
SELECT audit.place_hold('app.visits', 'case 8', until => '2015-06-04');
INSERT INTO app.consents (id, subject) VALUES (21, 'p21');
