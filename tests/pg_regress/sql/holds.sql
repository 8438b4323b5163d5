-- Holds: what can be held, by what, who may place and release, and that a hold outlives retention.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
-- one transaction, because a protected table cannot be dropped
BEGIN;
CREATE ROLE regress_officer;
GRANT audit_officer TO regress_officer;
GRANT USAGE ON SCHEMA t TO PUBLIC;
CREATE SCHEMA held;
GRANT USAGE ON SCHEMA held TO PUBLIC;
SET LOCAL search_path = held;
CREATE TABLE letters (id uuid PRIMARY KEY, user_id bigint, org_id text, created_at timestamptz, v text);
CREATE TABLE "No ""keys" (created_at timestamp);
CREATE TABLE visits (clinic integer, at timestamptz, nr float8, subject uuid, ward date,
    PRIMARY KEY (clinic, at, nr));
CREATE TABLE free (id integer PRIMARY KEY, created_at timestamptz);
CREATE VIEW a_view AS SELECT * FROM free;
ALTER TABLE letters OWNER TO regress_owner;
SELECT audit.protect('letters', '1 year');
SELECT audit.protect('"No ""keys"', '1 year');
SELECT audit.protect('visits', '1 year', 'ward');
SELECT audit.begin_restore('old rows');
INSERT INTO letters SELECT ('00000000-0000-4000-8000-00000000000' || to_hex(i))::uuid, i % 4,
    nullif('org' || i % 3, 'org2'),
    '2020-01-01 00:00+00'::timestamptz + i * interval '1 day', 'SECRET' FROM generate_series(1, 12) i;
INSERT INTO "No ""keys" VALUES ('2020-01-01'), ('2020-01-02'), (NULL);
INSERT INTO visits SELECT i, '2020-01-01 00:00+00', i / 3.0,
    ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1' || i)::uuid, date '2020-01-01' + i FROM generate_series(1, 5) i;
-- what a hold covers: which of the rows cannot be deleted
CREATE FUNCTION t.held(of_table regclass, place text, shown text DEFAULT 'substr(r::text, 1, 44)')
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    held text;
    condition text;
BEGIN
    EXECUTE place;
    condition := audit._hold_condition(of_table::oid::text);
    EXECUTE format('SELECT string_agg(%s, '' '' ORDER BY r::text) FROM %s r WHERE %s', shown, of_table,
                   condition) INTO held;
    RAISE EXCEPTION SQLSTATE 'ZZ001' USING MESSAGE = coalesce(held, 'nothing');
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN SQLERRM;
END $$;
SET LOCAL timezone = 'UTC';
SELECT t.held('letters', format('SELECT audit.place_hold(%L, %L%s)', 'held.letters', 'court', w)) AS held, w
    FROM unnest(ARRAY['',
        $$, record_ids => '{00000000-0000-4000-8000-00000000000A,00000000-0000-4000-8000-0000000000ff}'$$,
        $$, subject => '3'$$, $$, subject => ' 03 '$$, $$, tenant_id => 'org1'$$, $$, tenant_id => 'Org1'$$,
        $$, since => '2020-01-11 00:00+00'$$, $$, until => '2020-01-03 00:00+00'$$,
        $$, since => '2020-01-05 00:00+00', until => '2020-01-09 00:00+00', subject => '3'$$,
        $$, tenant_id => 'x'' OR true --'$$]) w;
-- a key of several columns, numbers and times as anybody would write them
SELECT t.held('visits', format('SELECT audit.place_hold(%L, %L%s)', 'held.visits', 'court', w)) AS held, w
    FROM unnest(ARRAY[
        $$, record_ids => ARRAY['[1, "2020-01-01T01:00:00+01:00", 0.3333333333333333]']$$,
        $$, record_ids => ARRAY['[1, "2020-01-01 00:00:00+00", 0.3333]']$$,
        $$, subject => 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12'$$,
        -- a date may begin in the day before
        $$, until => '2020-01-02 10:00+00'$$, $$, since => '2020-01-07 11:59+00'$$]) w;
SELECT t.held('"No ""keys"',
    $$SELECT audit.place_hold('"No ""keys"', 'x', since => '2020-01-02 12:00:01+00')$$);
-- whatever the settings of whoever deletes
SET LOCAL extra_float_digits = 0;
SET LOCAL timezone = 'Asia/Kathmandu';
SET LOCAL datestyle = 'SQL, DMY';
SELECT t.held('visits', $$SELECT audit.place_hold('held.visits', 'court',
    record_ids => ARRAY['[1, "2020-01-01T01:00:00+01:00", 0.3333333333333333]'])$$) LIKE '(1,%' AS held;
RESET extra_float_digits;
RESET datestyle;
RESET timezone;
-- by an officer; nobody else
GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA held TO regress_officer;
SET LOCAL ROLE regress_officer;
SELECT audit.place_hold('held.letters', 'Smith v. Jones', subject => '1', tenant_id => 'org1') AS first \gset
SELECT audit.place_hold('held.letters', reason => 'tax', since => '2020-01-10 00:00+00') AS second \gset
SELECT hold_id = :first AS is_first, target, record_ids, subject, tenant_id, since, until, reason,
       placed_by = session_user AS me
    FROM audit.active_holds ORDER BY hold_id;
SELECT code, message, hint FROM t.try($$DELETE FROM held.letters$$);
SELECT code, message FROM t.try($$DELETE FROM held.letters WHERE user_id = 1 AND org_id = 'org1'$$);
DELETE FROM held.letters WHERE user_id = 1 AND org_id IS DISTINCT FROM 'org1'
    AND created_at < '2020-01-10 00:00+00';
SELECT audit.release_hold(:first, 'settled');
DELETE FROM held.letters WHERE user_id = 1 AND created_at < '2020-01-10 00:00+00';
SELECT count(*) FROM audit.active_holds;
RESET ROLE;
SELECT count(*) FROM letters WHERE user_id = 1;
SELECT kind, object, reason, detail - 'hold_id' AS detail, login_role = session_user AS me
    FROM audit.guard_events WHERE kind LIKE 'hold%' ORDER BY id;
SELECT holds FROM audit.protected_tables WHERE target = 'letters'::regclass;
SELECT relation, rows_expired, rows_held, action FROM audit.retention_plan() WHERE relation LIKE 'held%';
-- refused
SELECT w, e.code, e.message, e.hint
    FROM unnest(ARRAY[$$NULL, 'why'$$, $$'held.letters', NULL$$, $$'held.letters', E' \n'$$,
        $$'held.free', 'why'$$, $$'held.a_view', 'why'$$, $$'pg_class', 'why'$$, $$4294967295, 'why'$$,
        $$'audit.retention_state', 'why'$$,
        $$'held.letters', 'why', record_ids => '{}'$$, $$'held.letters', 'why', record_ids => '{NULL}'$$,
        $$'held.letters', 'why', record_ids => '{SECRET}'$$, $$'held.visits', 'why', record_ids => '{1}'$$,
        $$'held.visits', 'why', record_ids => '{"[1]"}'$$, $$'held.visits', 'why', record_ids => '{"{}"}'$$,
        $$'"held"."No ""keys"', 'why', record_ids => '{1}'$$, $$'held."No ""keys"', 'why', subject => '1'$$,
        $$'held.letters', 'why', subject => 'SECRET'$$, $$'held.letters', 'why', subject => ' '$$,
        $$'held.visits', 'why', tenant_id => '1'$$,
        $$'held.letters', 'why', since => '2020-01-01', until => '2020-01-01'$$,
        $$'audit.guard_events', 'why', record_ids => '{1}'$$,
        $$'audit.guard_policies', 'why', subject => '1'$$]) w,
        LATERAL t.try(format('SELECT audit.place_hold(%s)', w)) e;
-- which number a hold has depends on what was held before
SELECT e.code, regexp_replace(e.message, '\d+', 'N') AS message, regexp_replace(e.hint, '\d+', 'N') AS hint
    FROM unnest(ARRAY[$$NULL, 'why'$$, $$0, 'why'$$, :'first' || $$, 'again'$$, :'second' || $$, NULL$$,
        :'second' || $$, ''$$]) w,
        LATERAL t.try(format('SELECT audit.release_hold(%s)', w)) e;
SET LOCAL ROLE regress_admin;
SELECT code, message FROM t.try($$SELECT audit.place_hold('held.letters', 'why')$$);
SELECT code, message FROM t.try($$SELECT audit.release_hold(1, 'why')$$);
SELECT code, message FROM t.try($$INSERT INTO audit.hold_releases DEFAULT VALUES$$);
SELECT code, message FROM t.try($$SELECT audit._hold_condition('1')$$);
SET LOCAL ROLE regress_officer;
SELECT code, message FROM t.try($$INSERT INTO audit.hold_releases DEFAULT VALUES$$);
SELECT code, message FROM t.try($$UPDATE audit.holds SET until = now()$$);
RESET ROLE;
SELECT code, message FROM t.try($$UPDATE audit.holds SET until = now()$$);
SELECT code, message FROM t.try($$DELETE FROM audit.holds$$);
SELECT code, message FROM t.try($$TRUNCATE audit.holds CASCADE$$);
-- what no longer knows the column that was meant, is held as a whole
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER EVENT TRIGGER audit_guard_shield_drop DISABLE;
SELECT t.held('letters', $$DO 'BEGIN PERFORM audit.place_hold(''held.letters'', ''x'', tenant_id => ''nobody'');
    ALTER TABLE held.letters DROP COLUMN org_id; END'$$) LIKE '% % % % %' AS held;
-- the log itself: by record, by person whether it was theirs or they did it, by time
CREATE TABLE held.about (id text PRIMARY KEY);
SELECT audit.enable_tracking('held.about');
SELECT audit.set_context(actor_id => 'ada');
INSERT INTO held.about VALUES ('7'), ('X-1');
UPDATE held.about SET id = '8' WHERE id = '7';
SELECT audit.set_context();
INSERT INTO held.about VALUES ('ada');
SELECT w, t.held('audit.audit_log', format('SELECT audit.place_hold(''audit.audit_log'', ''x'', %s)', w),
        $$CASE WHEN r.table_name = 'about' THEN concat_ws('/', r.operation, r.record_id, r.actor_id) END$$) AS held
    FROM unnest(ARRAY[$$record_ids => '{7}'$$, $$record_ids => '{x-1}'$$, $$subject => 'ADA'$$,
        $$tenant_id => 't'$$, 'since => now()', 'until => now()']) w;
ROLLBACK;
