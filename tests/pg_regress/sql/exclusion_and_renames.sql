-- Excluded columns never reach the log, whatever happens to their names.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, record_id, changed_fields, old_record, new_record FROM t.news();'
\set state 'SELECT exclude, mask, status FROM audit.tracked_tables WHERE table_name = \'people\';'
CREATE SCHEMA excl;
SET search_path = excl;
CREATE TABLE people (id integer PRIMARY KEY, name text, secret text, seen integer);
SELECT audit.enable_tracking('people', exclude => '{secret,seen}');
SELECT t.mark();
INSERT INTO people VALUES (1, 'ada', 'LEAK', 0);
UPDATE people SET name = 'Ada', secret = 'LEAK2';
-- an update of excluded columns only is nothing that is logged
UPDATE people SET secret = 'LEAK3', seen = 1;
DELETE FROM people;
:news
:state
-- renamed: still hidden
ALTER TABLE people RENAME secret TO token;
INSERT INTO people (id, name, token) VALUES (2, 'bob', 'LEAK');
UPDATE people SET token = 'LEAK2';
:news
:state
-- a new column by the old name: hidden as well, the renamed one too
ALTER TABLE people ADD secret text;
UPDATE people SET secret = 'LEAK', token = 'LEAK';
INSERT INTO people VALUES (3, 'eve', 'LEAK', 1, 'LEAK');
:news
:state
-- dropped and added again
ALTER TABLE people DROP seen;
ALTER TABLE people ADD seen text;
UPDATE people SET seen = 'LEAK';
UPDATE people SET name = 'Eve' WHERE id = 3;
:news
-- a swap of names hides both
CREATE TABLE swapped (id integer PRIMARY KEY, a text, b text, c text);
SELECT audit.enable_tracking('swapped', exclude => '{a}');
ALTER TABLE swapped RENAME a TO x;
ALTER TABLE swapped RENAME b TO a;
ALTER TABLE swapped RENAME x TO b;
INSERT INTO swapped VALUES (1, 'LEAK', 'LEAK', 'c');
:news
-- an excluded column that is gone for good is no reason to hide anything else
CREATE TABLE gone (id integer PRIMARY KEY, a text, b text);
SELECT audit.enable_tracking('gone', exclude => '{a}');
ALTER TABLE gone DROP a;
INSERT INTO gone VALUES (1, 'b');
:news
SELECT exclude, status FROM audit.tracked_tables WHERE target = 'gone'::regclass;
-- columns added later are logged
ALTER TABLE gone ADD c text DEFAULT 'new';
UPDATE gone SET c = 'newer';
:news
-- options are replaced, not added to
SELECT audit.enable_tracking('gone', exclude => '{c}');
SELECT audit.enable_tracking('gone', exclude => '{b}');
UPDATE gone SET b = 'LEAK', c = 'logged';
:news
-- every value column excluded: the key is what is left
SELECT audit.enable_tracking('gone', exclude => '{b,c}');
UPDATE gone SET b = 'LEAK', c = 'LEAK';
UPDATE gone SET id = 2;
DELETE FROM gone;
:news
-- the tenant column follows a rename; detail keeps its other columns out
CREATE TABLE rented (id integer PRIMARY KEY, org_id text, secret text);
SELECT audit.enable_tracking('rented', exclude => '{secret}', detail => 'delta');
ALTER TABLE rented RENAME org_id TO house;
INSERT INTO rented VALUES (1, 'h1', 'LEAK');
UPDATE rented SET house = 'h2', secret = 'LEAK';
SELECT operation, tenant_id, old_record, new_record FROM t.news();
SELECT tenant_column, detail FROM audit.tracked_tables WHERE target = 'rented'::regclass;
-- An option that names nothing that can be found (a restore after an unseen rename) hides everything but the
-- key, says so once per session, and never fails the statement.
CREATE TABLE lost (id integer PRIMARY KEY, a text, b text);
CREATE TRIGGER audit_lost AFTER INSERT OR UPDATE OR DELETE ON lost FOR EACH ROW
    EXECUTE FUNCTION audit.log_changes('exclude=ghost#3@1');
CREATE TRIGGER audit_lost_truncate BEFORE TRUNCATE ON lost FOR EACH STATEMENT
    EXECUTE FUNCTION audit.log_changes();
ALTER TABLE lost ENABLE ALWAYS TRIGGER audit_lost, ENABLE ALWAYS TRIGGER audit_lost_truncate;
INSERT INTO lost VALUES (1, 'LEAK', 'LEAK');
UPDATE lost SET b = 'LEAK2';
DELETE FROM lost;
:news
SELECT status FROM audit.tracked_tables WHERE target = 'lost'::regclass;
SELECT audit.enable_tracking('lost', exclude => '{a}');
INSERT INTO lost VALUES (2, 'LEAK', 'b');
:news
SELECT status FROM audit.tracked_tables WHERE target = 'lost'::regclass;
-- nothing leaked anywhere
SELECT count(*) FROM audit.audit_log l WHERE table_schema = 'excl' AND to_jsonb(l)::text LIKE '%LEAK%';
SET client_min_messages = warning;
DROP SCHEMA excl CASCADE;
