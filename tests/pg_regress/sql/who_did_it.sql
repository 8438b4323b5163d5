-- Who did it, behind a gateway that logs in as one role.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
SELECT current_user AS me \gset
CREATE SCHEMA who;
CREATE TABLE who.packages (id integer PRIMARY KEY, community_id integer, status text);
INSERT INTO who.packages VALUES (42, 1, 'received');
GRANT USAGE ON SCHEMA who TO regress_app;
GRANT SELECT, UPDATE ON who.packages TO regress_app;
SELECT audit.enable_tracking('who.packages');
\c - regress_app
\set SHOW_CONTEXT never
SET search_path = who;
BEGIN;
SELECT audit.set_context(actor_id => 4711, context => '{"app": {"ticket": "HD-88"}}');
UPDATE packages SET status = 'lost' WHERE id = 42; COMMIT;
SELECT actor_id, actor_source, login_role, actor_role FROM audit.current_context();
\c - :me
\set SHOW_CONTEXT never
SET search_path = who;
SELECT actor_id, actor_source, login_role, context -> 'app' AS app FROM audit.changes ORDER BY id DESC
    LIMIT 1;
-- outside a transaction block it warns and lasts for its statement
\c - regress_app
\set SHOW_CONTEXT never
SET search_path = who;
SELECT audit.set_context(actor_id => 'ada');
UPDATE packages SET status = 'found' WHERE id = 42;
-- claims beat nothing: an explicit declaration wins, and both stay visible
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "role": "authenticated"}';
UPDATE packages SET status = 'on its way' WHERE id = 42;
SELECT audit.set_context(actor_id => 'support desk');
UPDATE packages SET status = 'handed over' WHERE id = 42;
COMMIT;
-- what one person did
\c - regress_reader
\set SHOW_CONTEXT never
SELECT actor_id, actor_source, login_role, tenant_id, new_values, context - 'login_identity' AS context
    FROM audit.changes
    WHERE table_schema = 'who' ORDER BY logged_at, id;
SELECT new_values ->> 'status' AS status FROM audit.changes
    WHERE actor_id = '4711' AND table_schema = 'who' ORDER BY id;
\c - :me
SET client_min_messages = warning;
DROP SCHEMA who CASCADE;
