-- A database in another encoding than UTF-8: names, values, declared context and claims beyond ASCII.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
SELECT current_database() AS home \gset
CREATE DATABASE regress_latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
ALTER DATABASE regress_latin1 SET client_min_messages = warning;
\c regress_latin1
\set SHOW_CONTEXT never
SET client_encoding = 'UTF8';
CREATE EXTENSION audit_guard;
SET client_min_messages = notice;
CREATE TABLE "Käufe" ("schlüssel" text PRIMARY KEY, "größe" text, "geheim_ö" text, "maske_ß" text);
SELECT audit.enable_tracking('"Käufe"', exclude => '{geheim_ö}', mask => '{maske_ß}');
SELECT exclude, mask, status FROM audit.tracked_tables;
INSERT INTO "Käufe" VALUES ('ä', 'ü', 'LEAK', 'LEAK');
ALTER TABLE "Käufe" RENAME "geheim_ö" TO "offen_ö";
UPDATE "Käufe" SET "größe" = 'é', "offen_ö" = 'LEAK';
SELECT operation, table_name, record_id, changed_fields, new_record FROM audit.audit_log
    ORDER BY logged_at, id;
SELECT operation, new_values FROM audit.record_history('"Käufe"', 'ä');
-- declared
CREATE TABLE visits (id integer PRIMARY KEY);
SELECT audit.enable_tracking('visits');
BEGIN;
SELECT audit.set_context('Jürgen', tenant_id => 'Köln', context => '{"app": "ü"}');
INSERT INTO visits VALUES (1);
COMMIT;
-- claimed: raw and escaped
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "Müller", "app_metadata": {"tenant_id": "M\u00fcnchen"}}';
SET LOCAL request.headers = '{"user-agent": "Browser für alle"}';
INSERT INTO visits VALUES (2);
COMMIT;
SET application_name = 'plain';
SELECT record_id, actor_id, tenant_id, context FROM audit.audit_log WHERE table_name = 'visits'
    ORDER BY record_id;
-- a claim that this encoding cannot hold does not fail the statement
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "\u6f22 \u20ac", "app_metadata": {"tenant_id": "ascii"}}';
INSERT INTO visits VALUES (3);
COMMIT;
SELECT tenant_id FROM audit.audit_log WHERE record_id = '3';
-- every text in the log is valid in this encoding
SELECT count(*) FROM (SELECT convert_from(convert_to(l::text, 'UTF8'), 'UTF8') FROM audit.audit_log l) x;
\c :home
DROP DATABASE regress_latin1;
