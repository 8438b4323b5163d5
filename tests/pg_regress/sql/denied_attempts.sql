-- Refused attempts without preloading: only the server's log has them, but the table is there, keeps what a
-- recorder wrote, and is as well guarded as the log. And maintenance, which then nobody does by itself.
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- Nothing is recorded, and no line of the server's log reaches the client, whatever it wishes to hear.
SET client_min_messages = log;
UPDATE audit.guard_events SET kind = 'x';
RESET client_min_messages;
SELECT count(*) FROM audit.denied_attempts;

-- What the recorder calls. Nobody else may.
SET ROLE regress_admin;
SELECT audit._record_denied('[]');
SET ROLE regress_app;
SELECT audit._record_denied('[]');
RESET ROLE;
SELECT audit._record_denied('[]');
SELECT audit._record_denied($$[
    {"attempted_at": "2026-01-31T23:59:59.999999+00:00", "layer": "trigger", "command": "UPDATE",
     "object": "app.\"Ünï \"\"q\"\" t\"", "actor_id": "Robert'); DROP TABLE students;--",
     "actor_role": "pat", "login_role": "app", "client_ip": "2001:db8::1", "application_name": "psql",
     "lost_before": 0},
    {"attempted_at": "1999-12-31T12:00:00+00:00", "layer": "hook", "command": "DROP DATABASE", "object": null,
     "actor_id": null, "actor_role": "x", "login_role": "x", "client_ip": null, "application_name": null,
     "lost_before": 99983}]$$);
SELECT attempted_at AT TIME ZONE 'UTC' AS attempted_at, layer, command, object, actor_id, actor_role,
       login_role, client_ip, application_name, lost_before,
       tableoid::regclass::text ~ '_past$|_2026_01$' AS leaf,
       transaction_id <= pg_current_xact_id()::text::bigint AS transaction, salt IS NOT NULL AS salt,
       redaction
FROM audit.denied_attempts ORDER BY id;
-- What is no attempt is refused whole.
SELECT audit._record_denied('nonsense');
SELECT audit._record_denied('[{"layer": "trigger"}]');
SELECT audit._record_denied('[{"attempted_at": "infinity", "layer": "hook", "command": "x", "actor_role": "x",
    "login_role": "x", "lost_before": 0}]');
SELECT audit._record_denied('[{"attempted_at": "2026-01-01", "layer": "other", "command": "x",
    "actor_role": "x", "login_role": "x", "lost_before": 0}]');
SELECT audit._record_denied('[{"attempted_at": "2026-01-01", "layer": "hook", "command": "x",
    "actor_role": "x", "login_role": "x", "lost_before": -1}]');
SELECT count(*) FROM audit.denied_attempts;

-- Readers read, others do not.
SET ROLE regress_reader;
SELECT count(*) FROM audit.denied_attempts;
UPDATE audit.denied_attempts SET actor_id = 'somebody else';
SET ROLE regress_app;
SELECT count(*) FROM audit.denied_attempts;
RESET ROLE;

-- As the log: nothing is changed or removed, whatever the way.
SELECT * FROM t.try('DELETE FROM audit.denied_attempts');
UPDATE audit.denied_attempts SET actor_id = 'somebody else' WHERE false;
TRUNCATE audit.denied_attempts;
SELECT format('DELETE FROM %s', tableoid::regclass) FROM audit.denied_attempts WHERE lost_before > 0 \gexec
SELECT format('TRUNCATE %s', tableoid::regclass) FROM audit.denied_attempts WHERE lost_before > 0 \gexec
SET session_replication_role = replica;
DELETE FROM audit.denied_attempts;
RESET session_replication_role;
SELECT count(*) FROM audit.denied_attempts;

-- Its leaves are made as those of the log: no members, with a key and one small index each.
SELECT i.relname ~ '_pkey$' AS is_key, a.amname, count(*) > 1 AS all_leaves
FROM pg_inherits h
JOIN pg_index x ON x.indrelid = h.inhrelid
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am a ON a.oid = i.relam
WHERE h.inhparent = 'audit.denied_attempts'::regclass
GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM pg_depend d JOIN pg_inherits h ON h.inhrelid = d.objid
WHERE h.inhparent = 'audit.denied_attempts'::regclass AND d.deptype = 'e';
SELECT c.oid::regclass AS dumped FROM pg_extension e, unnest(e.extconfig) t(oid) JOIN pg_class c USING (oid)
WHERE c.relname ~ 'denied|schedule' ORDER BY 1;

-- Without pg_cron and without preloading nothing is scheduled, and it is said what to do.
SET ROLE regress_admin;
SELECT audit.schedule_maintenance();
SELECT audit.schedule_maintenance('0 3 * * mon');
RESET ROLE;
SELECT t.* FROM unnest(ARRAY['NULL', $$'nonsense'$$, $$'* * * * * *'$$, $$'0 0 30 2 *'$$,
    $$'*/5 * * * *''); DROP TABLE students;--'$$]) v(schedule),
     t.try(format('SELECT audit.schedule_maintenance(%s)', v.schedule)) t;
SET ROLE regress_app;
SELECT audit.schedule_maintenance();
RESET ROLE;
SELECT count(*) FROM audit.maintenance_schedule;
SELECT count(*) FROM audit.guard_events WHERE kind = 'maintenance_scheduled';
SELECT audit._maintenance_schedule() = '' AS no_schedule, audit._maintains_here();
-- The trigger that tells the launcher is none to be called.
SELECT audit._announce_schedule();
