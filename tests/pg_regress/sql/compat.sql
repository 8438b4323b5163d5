-- The names that code written for the earlier audit functions uses, and how such code runs.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
SET client_min_messages = warning;
CREATE SCHEMA compat;
CREATE SCHEMA "Ünï ""q"" s";
SELECT * FROM audit.install_compat('compat');
-- once more: the same answer, nothing new
SELECT * FROM audit.install_compat('compat');
SELECT * FROM audit.install_compat('compat', '{}');
SELECT * FROM audit.install_compat('compat', '{capture}');
SELECT * FROM audit.install_compat('Ünï "q" s', '{guard,guard}');
SELECT s.oid::regprocedure AS shim, s.prosrc, s.probin = o.probin AS same_library,
       obj_description(s.oid, 'pg_proc') AS comment,
       (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public'), ',')
        FROM aclexplode(s.proacl) a WHERE a.grantee <> s.proowner) AS who,
       EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = s.oid
               AND deptype = 'e') AS member
    FROM pg_proc s JOIN pg_proc o ON o.oid = 'audit.prevent_modification()'::regprocedure
    WHERE s.proname = 'prevent_audit_log_tampering' ORDER BY 1::text;
-- a migration of the hardening proposal, as it stands but for its function, whose name is there already
CREATE TABLE public.user_sessions (id uuid PRIMARY KEY);
CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ip_address text,
    created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO audit_logs VALUES (1, '203.0.113.9');
SELECT * FROM audit.install_compat('public', '{guard,capture}');
ALTER TABLE public.audit_logs
ADD COLUMN IF NOT EXISTS session_id UUID REFERENCES public.user_sessions(id),
ADD COLUMN IF NOT EXISTS phi_accessed BOOLEAN DEFAULT false,
ADD COLUMN IF NOT EXISTS outcome TEXT CHECK (outcome IN ('success', 'failure', 'denied')),
ADD COLUMN IF NOT EXISTS client_ip TEXT; -- Will populate from ip_address initially

-- Backfill client_ip from ip_address
UPDATE public.audit_logs SET client_ip = ip_address WHERE client_ip IS NULL;

CREATE TRIGGER enforce_audit_retention
BEFORE DELETE OR UPDATE ON public.audit_logs
FOR EACH ROW EXECUTE FUNCTION prevent_audit_log_tampering();
:try ('DELETE FROM public.audit_logs WHERE id = 1') f;
:try ($$UPDATE public.audit_logs SET outcome = 'failure'$$) f;
SELECT id, client_ip, outcome FROM public.audit_logs;
-- stricter than the proposal: age does not open it
INSERT INTO audit_logs (id, outcome, created_at) VALUES (2, 'success', '2001-01-01');
:try ('DELETE FROM public.audit_logs WHERE id = 2') f;
:try ($$SELECT audit.remove_compat()$$) f;
DROP TABLE public.audit_logs, public.user_sessions;
SELECT * FROM audit.remove_compat();
-- migrations of the earlier audit schema: a table is switched on by its name alone, a guard by its old name
SELECT t.mark();
SET search_path = compat;
CREATE TABLE compat.packages (id uuid PRIMARY KEY, community_id uuid, status text);
CREATE TABLE compat.moves (day date, no int, note text, PRIMARY KEY (day, no));
CREATE TABLE compat.notes (id int PRIMARY KEY, note text);
SELECT audit.enable_tracking('compat.packages'::regclass);
SELECT audit.enable_tracking('compat.moves');
SELECT audit.enable_tracking('compat.notes'::regclass);
SELECT audit.disable_tracking('compat.notes'::regclass);
SELECT audit.enable_tracking('compat.notes'::regclass);
-- or by a trigger made by hand
CREATE TABLE compat.by_hand (id uuid PRIMARY KEY);
CREATE TRIGGER audit_by_hand AFTER INSERT OR UPDATE OR DELETE ON compat.by_hand
    FOR EACH ROW EXECUTE FUNCTION audit.log_changes();
INSERT INTO by_hand VALUES ('33333333-3333-4333-8333-333333333333');
SELECT table_name, operation, record_id FROM audit.audit_log_compat WHERE table_schema = 'compat';
CREATE TABLE compat.ledger_entries (id int);
INSERT INTO ledger_entries VALUES (1);
CREATE TRIGGER prevent_update BEFORE UPDATE ON compat.ledger_entries
    FOR EACH ROW EXECUTE FUNCTION audit.prevent_audit_modification();
CREATE TRIGGER prevent_delete BEFORE DELETE ON compat.ledger_entries
    FOR EACH ROW EXECUTE FUNCTION audit.prevent_audit_modification();
:try ('UPDATE compat.ledger_entries SET id = 2') f;
:try ('DELETE FROM compat.ledger_entries') f;
-- a query of the earlier audit_log finds its columns and types in the view
SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = 'audit.audit_log_compat'::regclass AND attnum > 0;
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000a"}';
SET LOCAL request.headers = '{"user-agent": "app/1", "x-forwarded-for": "203.0.113.9"}';
INSERT INTO packages VALUES ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222',
    'received');
UPDATE packages SET status = 'gone';
INSERT INTO moves VALUES ('2026-01-02', 7, 'x');
COMMIT;
BEGIN;
SELECT audit.set_context(actor_id => 4711, tenant_id => 'not a uuid');
INSERT INTO notes VALUES (1, 'x');
TRUNCATE notes;
COMMIT;
SELECT table_name, operation, old_record ->> 'status' AS was, record_id, record_pk, changed_fields, actor_id,
       actor_ip, actor_user_agent, community_id, table_oid::regclass
    FROM audit.audit_log_compat
    WHERE table_schema = 'compat' AND table_name <> 'by_hand' ORDER BY logged_at, id;
SELECT count(*) FROM audit.audit_log_compat WHERE community_id = '22222222-2222-4222-8222-222222222222'
    AND actor_id = '00000000-0000-4000-8000-00000000000a' AND table_name = 'packages';
-- id: a uuid of version 7, in the order of time, each one once, and it holds the number of the entry
SELECT bool_and(c.id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7000-8[0-9a-f]{3}-[0-9a-f]{12}$') AS version_7,
       bool_and(c.id = again.id) AS stable, count(DISTINCT c.id) = count(*) AS distinct,
       bool_and(('x' || right(c.id::text, 12))::bit(48)::bigint = l.id) AS holds_our_id,
       bool_and(to_timestamp(('x' || left(replace(c.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
                = date_trunc('milliseconds', l.logged_at)) AS holds_time
    FROM audit.audit_log l
    JOIN audit.audit_log_compat c ON c.logged_at = l.logged_at
        AND right(c.id::text, 12) = lpad(to_hex(l.id), 12, '0')
    JOIN audit.audit_log_compat again ON again.id = c.id
    WHERE l.table_schema = 'compat';
-- a table that is renamed or gone breaks nothing
ALTER TABLE compat.notes RENAME TO gone;
DROP TABLE compat.packages;
SELECT table_name, table_oid IS NULL AS gone, record_pk FROM audit.audit_log_compat
    WHERE table_schema = 'compat' AND operation = 'INSERT' AND table_name <> 'by_hand'
    ORDER BY logged_at, id;
RESET search_path;
-- who reads the log reads the view, nobody else
SET ROLE regress_reader;
SELECT count(*) > 0 AS reads FROM audit.audit_log_compat;
SET ROLE regress_app;
:try ('SELECT count(*) FROM audit.audit_log_compat') f;
RESET ROLE;
-- refusals
:try ('SELECT audit.install_compat(NULL)') f;
:try ($$SELECT audit.install_compat('compat', NULL)$$) f;
:try ($$SELECT audit.install_compat('compat', '{guard,NULL}')$$) f;
:try ($$SELECT audit.install_compat('compat', replace => NULL)$$) f;
:try ($$SELECT audit.install_compat('compat', '{crisis}')$$) f;
:try ($$SELECT audit.install_compat('compat', '{compliance}')$$) f;
:try ($$SELECT audit.install_compat('compat', '{"x'');"}')$$) f;
:try ($$SELECT audit.install_compat('no such "schema"')$$) f;
:try ($$SELECT audit.install_compat('compat; DROP TABLE x')$$) f;
:try ($$SELECT audit.install_compat('audit')$$) f;
:try ($$SELECT audit.install_compat('audit_api')$$) f;
:try ($$SELECT audit.install_compat('pg_catalog')$$) f;
:try ($$SELECT audit.install_compat('pg_temp')$$) f;
:try ($$SELECT audit.install_compat('information_schema')$$) f;
:try ('SELECT audit.remove_compat(NULL)') f;
:try ($$SELECT audit.remove_compat('no such "schema"')$$) f;
:try ($$SELECT audit.remove_compat('audit')$$) f;
SET ROLE regress_app;
:try ($$SELECT audit.install_compat('compat')$$) f;
SET ROLE regress_admin;
:try ($$SELECT audit.install_compat('compat')$$) f;
:try ($$SELECT audit.remove_compat('compat')$$) f;
RESET ROLE;
-- a name that somebody else has taken stays theirs, whatever it is, with replace as without
CREATE SCHEMA taken;
CREATE FUNCTION taken.prevent_audit_log_tampering() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN OLD; END';
:try ($$SELECT audit.install_compat('taken')$$) f;
:try ($$SELECT audit.install_compat('taken', replace => true)$$) f;
COMMENT ON FUNCTION taken.prevent_audit_log_tampering() IS 'audit_guard: not really';
:try ($$SELECT audit.install_compat('taken', replace => true)$$) f;
SELECT count(*) AS removed FROM audit.remove_compat('taken');
-- the hint works
ALTER ROUTINE taken.prevent_audit_log_tampering() RENAME TO prevent_audit_log_tampering_old;
CREATE FUNCTION taken.prevent_audit_log_tampering(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
SELECT * FROM audit.install_compat('taken');
SELECT * FROM audit.remove_compat('taken');
CREATE PROCEDURE taken.prevent_audit_log_tampering() LANGUAGE sql AS '';
:try ($$SELECT audit.install_compat('taken', replace => true)$$) f;
DROP PROCEDURE taken.prevent_audit_log_tampering();
-- the proposal's own function, run again, takes the name back: then it is not ours any more
CREATE OR REPLACE FUNCTION "Ünï ""q"" s".prevent_audit_log_tampering() RETURNS TRIGGER AS $$
BEGIN
    RETURN OLD;
END;
$$ LANGUAGE plpgsql;
:try ($$SELECT audit.install_compat('Ünï "q" s')$$) f;
SELECT count(*) AS removed FROM audit.remove_compat('Ünï "q" s');
DROP FUNCTION "Ünï ""q"" s".prevent_audit_log_tampering();
-- replace renews comment, grants and library of our own
SELECT * FROM audit.install_compat('Ünï "q" s', '{guard}');
GRANT EXECUTE ON FUNCTION "Ünï ""q"" s".prevent_audit_log_tampering() TO PUBLIC, regress_app;
SELECT count(*) FROM audit.install_compat('Ünï "q" s', '{guard}', replace => true);
SELECT a.grantee::regrole <> current_user::regrole AS others FROM pg_proc p, aclexplode(p.proacl) a
    WHERE p.oid = '"Ünï ""q"" s".prevent_audit_log_tampering()'::regprocedure;
-- one that an earlier version made, with another name for the library, works on; replace renews it
CREATE FUNCTION taken.prevent_audit_log_tampering() RETURNS trigger LANGUAGE c
    AS '$libdir/audit_guard', 'audit_prevent_modification';
COMMENT ON FUNCTION taken.prevent_audit_log_tampering() IS 'audit_guard: of an earlier version';
SET client_min_messages = notice;
SELECT * FROM audit.install_compat('taken', '{guard}');
SELECT * FROM audit.install_compat('taken', '{guard}', replace => true);
SELECT * FROM audit.install_compat('taken', '{guard}');
SET client_min_messages = warning;
-- default privileges open nothing; the owner of the schema may attach it, and service_role where it exists
BEGIN;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_app;
CREATE ROLE service_role;
CREATE SCHEMA priv AUTHORIZATION regress_owner;
SELECT count(*) FROM audit.install_compat('priv');
SELECT a.grantee::regrole AS who FROM pg_proc p, aclexplode(p.proacl) a
    WHERE p.oid = 'priv.prevent_audit_log_tampering()'::regprocedure AND a.grantee <> p.proowner
    ORDER BY 1::text;
SET LOCAL ROLE regress_owner;
CREATE TABLE priv.log (id int);
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON priv.log
    FOR EACH ROW EXECUTE FUNCTION priv.prevent_audit_log_tampering();
INSERT INTO priv.log VALUES (1);
:try ('UPDATE priv.log SET id = 2') f;
ROLLBACK;
-- what is in use stays, and the answer names who uses it
CREATE TABLE "Ünï ""q"" s"."T ""1""" (id int);
CREATE TRIGGER "a ""b""" BEFORE UPDATE ON "Ünï ""q"" s"."T ""1"""
    FOR EACH ROW EXECUTE FUNCTION "Ünï ""q"" s".prevent_audit_log_tampering();
:try ($$SELECT audit.remove_compat('Ünï "q" s')$$) f;
DROP TRIGGER "a ""b""" ON "Ünï ""q"" s"."T ""1""";
SELECT * FROM audit.remove_compat('Ünï "q" s');
SELECT * FROM audit.remove_compat('Ünï "q" s');
SELECT * FROM audit.remove_compat('compat');
DROP SCHEMA compat, taken, "Ünï ""q"" s" CASCADE;
