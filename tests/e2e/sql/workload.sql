-- Tables for random workloads: many column types, every kind of key, hostile names, partitions of several
-- levels, foreign keys with every action, triggers that write elsewhere, and each option of tracking.
-- Who may call: loaded by the tests as superuser, after reference.sql.
-- Relies on: roles writer and clerk, made here.

CREATE ROLE writer LOGIN;
CREATE ROLE clerk NOLOGIN;
GRANT clerk TO writer;
GRANT pg_read_server_files TO writer, clerk;
GRANT SET ON PARAMETER session_replication_role TO writer, clerk;
CREATE SCHEMA app;
CREATE SCHEMA "Sales Dept";

CREATE TYPE app.kind AS ENUM ('a kind', 'Ünkind', 'other');
CREATE TYPE app.address AS (street text, since timestamptz, parts int[]);
CREATE DOMAIN app.percent AS numeric(7, 3) CHECK (VALUE <= 100);

CREATE TABLE app.people (
    id int PRIMARY KEY, name text, dropped int, secret text, last_seen timestamptz, balance numeric,
        tags text[],
    attrs jsonb, community_id int, photo bytea, length int GENERATED ALWAYS AS (length(name)) STORED
);
ALTER TABLE app.people DROP COLUMN dropped;

-- Names that need quotes, a name of 63 bytes, a composite key in another order than the columns.
CREATE TABLE "Sales Dept"."Order ""Lines"" of a very long name, 63 bytes in all, or so éé!" (
    "prod.code" text, price float8, "Order No" int, valid tstzrange, "ключ" interval, address app.address,
    PRIMARY KEY ("Order No", "prod.code")
);
CREATE TABLE app.docs (
    body json, id uuid PRIMARY KEY, meta jsonb, kind app.kind, share app.percent, at date, "At" timetz
);
-- No key: every row counts.
CREATE TABLE app.events (kind app.kind, at timestamp, f4 real, code char(5), flags varbit, who inet,
    note text);
CREATE TABLE app.ident (a int NOT NULL, b text NOT NULL, v text, moment timestamptz);
CREATE UNIQUE INDEX ident_b_a ON app.ident (b, a);
ALTER TABLE app.ident REPLICA IDENTITY USING INDEX ident_b_a;
-- A key whose text depends on settings of the session.
CREATE TABLE app.stamped (at timestamptz, n numeric, raw bytea, v text, period daterange,
    PRIMARY KEY (at, raw));

CREATE TABLE app.stock (region text, id int, level int, amount numeric, hidden text, note text,
    PRIMARY KEY (region, id, level))
    PARTITION BY LIST (region);
CREATE TABLE app.stock_us PARTITION OF app.stock FOR VALUES IN ('us');
-- A leaf whose columns stand in another order, behind a dropped one.
CREATE TABLE app.stock_eu (gone int, note text, hidden text, amount numeric, level int, id int,
    region text NOT NULL);
ALTER TABLE app.stock_eu DROP COLUMN gone, ADD PRIMARY KEY (region, id, level);
ALTER TABLE app.stock ATTACH PARTITION app.stock_eu FOR VALUES IN ('eu');
CREATE TABLE app.stock_asia PARTITION OF app.stock FOR VALUES IN ('asia') PARTITION BY RANGE (level);
CREATE TABLE app.stock_asia_low PARTITION OF app.stock_asia FOR VALUES FROM (MINVALUE) TO (5);
CREATE TABLE app.stock_asia_high PARTITION OF app.stock_asia FOR VALUES FROM (5) TO (MAXVALUE);
CREATE TABLE app.stock_other PARTITION OF app.stock DEFAULT;

CREATE TABLE app.parent (id int PRIMARY KEY, code text UNIQUE, v text);
CREATE TABLE app.child (
    id int PRIMARY KEY, parent_id int REFERENCES app.parent ON DELETE CASCADE ON UPDATE CASCADE, v text
);
CREATE TABLE app.loose (
    id int PRIMARY KEY, code text REFERENCES app.parent (code) ON DELETE SET NULL ON UPDATE CASCADE, v jsonb
);
CREATE TABLE app.grandchild (
    id int PRIMARY KEY, child_id int DEFAULT 1 REFERENCES app.child ON DELETE CASCADE ON UPDATE CASCADE
        DEFERRABLE INITIALLY DEFERRED, v int
);
-- Written by a trigger of app.people only.
CREATE TABLE app.totals (community int PRIMARY KEY, changes int NOT NULL, last text);
CREATE TABLE app.journal (entry text);

-- Counts in an upsert; now and then fails inside a block of its own, after having written.
CREATE FUNCTION app.count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO app.totals VALUES (coalesce(NEW.community_id, OLD.community_id, -1), 1, TG_OP)
    ON CONFLICT (community) DO UPDATE SET changes = app.totals.changes + 1, last = TG_OP;
    BEGIN
        INSERT INTO app.journal VALUES (TG_OP || ' ' || coalesce(NEW.id, OLD.id));
        IF coalesce(NEW.id, OLD.id) % 3 = 0 THEN
            RAISE EXCEPTION 'not this one';
        END IF;
    EXCEPTION WHEN raise_exception THEN
        INSERT INTO app.journal VALUES ('swallowed');
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER a_first AFTER INSERT OR UPDATE OR DELETE ON app.people
    FOR EACH ROW EXECUTE FUNCTION app.count_change();
CREATE FUNCTION app.adjust() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.v LIKE '%null%' THEN
        RETURN NULL;
    END IF;
    NEW.v := coalesce(NEW.v, '') || '+';
    RETURN NEW;
END $$;
CREATE TRIGGER zz_adjust BEFORE INSERT OR UPDATE ON app.child FOR EACH ROW EXECUTE FUNCTION app.adjust();
-- Runs at the end of the transaction.
CREATE FUNCTION app.close() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO app.journal VALUES ('closing ' || NEW.id);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER closing AFTER INSERT ON app.parent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION app.close();

GRANT USAGE ON SCHEMA app, "Sales Dept" TO writer, clerk;
GRANT ALL ON ALL TABLES IN SCHEMA app, "Sales Dept" TO writer, clerk;

SELECT reference.track('app.people', '{last_seen}', '{secret}', 'community_id', truncated_rows => true);
SELECT reference.track(c.oid, detail => 'delta') FROM pg_class AS c WHERE relname LIKE 'Order "Lines"%'
    AND relkind = 'r';
SELECT reference.track('app.docs', mask => '{meta}', detail => 'changed');
SELECT reference.track('app.events', truncated_rows => true);
SELECT reference.track('app.ident', detail => 'changed', truncated_rows => true);
SELECT reference.track('app.stamped', detail => 'delta');
SELECT reference.track('app.stock', '{note}', '{hidden}', 'region', 'delta');
SELECT reference.track('app.parent');
SELECT reference.track('app.child', tenant => 'parent_id');
SELECT reference.track('app.loose');
SELECT reference.track('app.grandchild', detail => 'changed');
SELECT reference.track('app.totals', detail => 'changed');
SELECT reference.track('app.journal', detail => 'delta');
