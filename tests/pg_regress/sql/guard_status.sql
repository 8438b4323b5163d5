-- guard_status: what is in force on each level, why not, and what mends it.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
SELECT count(*) >= 0 AS done FROM audit.maintain_partitions();
-- one transaction, because a protected table cannot be dropped
BEGIN;
CREATE SCHEMA watch AUTHORIZATION regress_owner;
SET LOCAL search_path = watch;
CREATE TABLE letters (id integer, logged_at timestamptz);
CREATE TABLE notes (id integer, created_at date);
ALTER TABLE letters OWNER TO regress_owner;
SELECT audit.protect('letters');
SELECT audit.protect('notes', '30 days');
-- level 3 depends on how the server was started, which is not what is compared here
CREATE FUNCTION t.faults() RETURNS TABLE (level integer, part text, object text, why text, fix text)
    LANGUAGE sql AS $$ SELECT s.level, s.part, s.object, s.why, s.fix
    FROM audit.guard_status() s WHERE NOT s.in_force AND s.level < 3
    -- tables that other tests dropped are remembered for ever, and whether anything is sealed is another matter
    AND (s.part <> 'table' OR s.object LIKE 'watch.%') AND s.part <> 'ledger' $$;
SELECT level, part, object, in_force, why, fix FROM audit.guard_status()
    WHERE level < 3 AND (part <> 'table' OR object LIKE 'watch%') AND part <> 'ledger';
SELECT level, part,
    in_force = (audit._lockdown() IN ('on', 'strict')) AS as_loaded, in_force = (fix IS NULL) AS has_fix
    FROM audit.guard_status() WHERE level = 3;
-- everybody may ask, and sees names only
GRANT USAGE ON SCHEMA t TO PUBLIC;
SET LOCAL ROLE regress_app;
SELECT count(*) > 8 AS shown FROM audit.guard_status();
RESET ROLE;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER EVENT TRIGGER audit_guard_ddl DISABLE;
SELECT * FROM t.faults();
ALTER EVENT TRIGGER audit_guard_shield ENABLE;
SELECT fix FROM t.faults() \gset
:fix
SELECT * FROM t.faults();
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER EVENT TRIGGER audit_guard_ddl DISABLE;
-- ownership, grants and triggers of our own tables
GRANT audit_owner TO regress_admin;
GRANT INSERT, SELECT ON audit.holds TO regress_app;
ALTER TABLE audit.guard_policies DISABLE TRIGGER immutable_row;
ALTER TABLE audit.hold_releases OWNER TO regress_owner;
SELECT * FROM t.faults() WHERE level = 1;
SELECT string_agg(fix, ' ') AS fixes FROM t.faults() WHERE level = 1 \gset
:fixes
SELECT * FROM t.faults() WHERE level = 1;
SELECT t.hot_leaf() AS leaf \gset
ALTER TABLE :leaf ENABLE TRIGGER ALL;
SELECT count(*) AS faults FROM t.faults() WHERE level = 1 AND object = 'audit.audit_log';
SELECT fix FROM t.faults() WHERE level = 1;
SELECT count(*) AS mended FROM audit.repair_tracking();
DROP TRIGGER immutable_statement ON :leaf;
SELECT part, object, replace(why, :'leaf', 'LEAF') AS why FROM t.faults() WHERE level = 1;
SELECT fix FROM t.faults() WHERE level = 1 \gset
:fix
SELECT count(*) AS faults FROM t.faults() WHERE level = 1;
ALTER FUNCTION audit.release_hold(bigint, text) OWNER TO regress_admin;
SELECT object, why, fix FROM t.faults() WHERE level = 1;
SELECT fix FROM t.faults() WHERE level = 1 \gset
:fix
DROP TRIGGER immutable_row ON audit.holds;
SELECT object, why, fix FROM t.faults() WHERE level = 1;
SELECT fix FROM t.faults() WHERE level = 1 \gset
:fix
SELECT count(*) AS faults FROM t.faults() WHERE level = 1;
-- tables of users: another trigger, a rule, a lost trigger, a lost column, a lost table
CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER "zz 'q'" BEFORE DELETE ON letters FOR EACH ROW EXECUTE FUNCTION quiet();
CREATE RULE no_letters AS ON INSERT TO notes DO INSTEAD NOTHING;
CREATE TRIGGER before_ours BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION quiet();
SELECT * FROM t.faults() WHERE level = 1;
SELECT string_agg(fix, ' ') AS fixes FROM t.faults() WHERE level = 1 \gset
:fixes
SELECT * FROM t.faults() WHERE level = 1;
ALTER EVENT TRIGGER audit_guard_shield_drop DISABLE;
SAVEPOINT s;
ALTER TABLE letters DROP COLUMN logged_at;
DROP TRIGGER protect_notes ON notes;
SELECT * FROM t.faults() WHERE level = 1;
SELECT fix FROM t.faults() WHERE level = 1 AND fix IS NOT NULL \gset
:fix
SELECT * FROM t.faults() WHERE level = 1;
DROP TABLE notes;
SELECT * FROM t.faults() WHERE level = 1;
ROLLBACK TO s;
ALTER TABLE letters RENAME COLUMN logged_at TO created_at;
SELECT * FROM t.faults() WHERE level = 1;
SELECT fix FROM t.faults() WHERE level = 1 \gset
:fix
SELECT * FROM t.faults() WHERE level = 1;
ROLLBACK;
-- on Supabase, the roles of the platform
BEGIN;
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE service_role;
CREATE ROLE supabase_auth_admin;
CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
GRANT audit_reader TO service_role;
SELECT part, object, in_force, why, fix FROM audit.guard_status() WHERE part = 'grants';
GRANT audit_writer TO service_role, supabase_auth_admin;
SELECT part, object, in_force, why, fix FROM audit.guard_status() WHERE part = 'grants';
ROLLBACK;
