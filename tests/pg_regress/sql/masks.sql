-- Masked columns: that they changed is on record, their values are not.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set news 'SELECT operation, record_id, changed_fields, old_record, new_record FROM t.news();'
CREATE SCHEMA masks;
SET search_path = masks;
CREATE TABLE accounts (id integer PRIMARY KEY, name text, password text, pin integer, doc jsonb);
SELECT audit.enable_tracking('accounts', mask => '{password,doc}', exclude => '{pin}');
SELECT t.mark();
INSERT INTO accounts VALUES (1, 'ada', 'LEAK', 1234, '{"a": "LEAK"}');
UPDATE accounts SET password = 'LEAK2';
UPDATE accounts SET name = 'Ada', password = 'LEAK3', pin = 1;
UPDATE accounts SET password = 'LEAK3', pin = 2;
UPDATE accounts SET doc = NULL;
DELETE FROM accounts;
:news
-- in the smaller details as well
SELECT audit.enable_tracking('accounts', mask => '{password}', detail => 'changed');
INSERT INTO accounts VALUES (2, 'bob', 'LEAK', 1, NULL);
UPDATE accounts SET password = 'LEAK2';
UPDATE accounts SET pin = 2, password = 'LEAK3';
:news
SELECT operation, changed_fields, old_values, new_values FROM audit.record_history('accounts', 2)
    WHERE operation = 'UPDATE';
-- a mask follows a rename, a new column by the old name is masked too, and a swap masks both
ALTER TABLE accounts RENAME password TO passphrase;
UPDATE accounts SET passphrase = 'LEAK4';
ALTER TABLE accounts ADD password text;
UPDATE accounts SET password = 'LEAK5';
SELECT audit.enable_tracking('accounts', mask => '{password,passphrase}');
ALTER TABLE accounts RENAME password TO x;
ALTER TABLE accounts RENAME name TO password;
ALTER TABLE accounts RENAME x TO name;
UPDATE accounts SET name = 'LEAK6', password = 'LEAK7';
:news
SELECT mask, status FROM audit.tracked_tables WHERE target = 'accounts'::regclass;
-- log_truncated_rows and TRUNCATE give no value away
SELECT audit.enable_tracking('accounts', mask => '{password,passphrase,name}', log_truncated_rows => true);
TRUNCATE accounts;
SELECT operation, old_record FROM t.news();
-- a value that only moved (another stored form, the same value) is not a change
CREATE TABLE long (id integer PRIMARY KEY, big text, n integer);
SELECT audit.enable_tracking('long', mask => '{big}');
INSERT INTO long SELECT 1, string_agg(md5(i::text), ''), 1 FROM generate_series(1, 4000) i;
UPDATE long SET big = big || '', n = 2;
:news
SELECT count(*) FROM audit.audit_log l WHERE table_schema = 'masks' AND to_jsonb(l)::text LIKE '%LEAK%';
SET client_min_messages = warning;
DROP SCHEMA masks CASCADE;
