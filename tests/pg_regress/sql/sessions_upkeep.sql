-- What is done with sessions later: a mark that is taken away, and old sessions that go.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
BEGIN;
SET LOCAL intervalstyle = postgres;
CREATE FUNCTION t.login(subject text) RETURNS uuid LANGUAGE sql
    RETURN audit.create_user_session(subject => subject, ip_address => '203.0.113.9');
SELECT t.login('ada') AS s \gset
SELECT status, reason FROM audit.validate_session(:'s', '198.51.100.1');
-- the mark goes, with a reason on record; what is known is no news once more, another reason is
SELECT audit.clear_suspicion(:'s', 'she travels, HD-91');
SELECT audit.clear_suspicion(:'s', 'once more');
SELECT is_suspicious, suspicious_reason FROM audit.user_sessions WHERE id = :'s';
SELECT kind, object = 'session ' || :'s' AS names_it, reason FROM audit.guard_events ORDER BY id DESC LIMIT 1;
SELECT status FROM audit.validate_session(:'s', '198.51.100.1');
:try ('SELECT audit.clear_suspicion(NULL, ''x'')') f;
:try ($$SELECT audit.clear_suspicion('00000000-0000-4000-8000-000000000000', NULL)$$) f;
:try ($$SELECT audit.clear_suspicion('00000000-0000-4000-8000-000000000000', ' ')$$) f;
:try ($$SELECT audit.clear_suspicion('00000000-0000-4000-8000-000000000000', 'x')$$) f;
-- old ones: only what ended so long ago, at most so many, and not what somebody refers to
SELECT t.login('bob') AS b1 \gset
SELECT t.login('bob') AS b2 \gset
SELECT t.login('bob') AS b3 \gset
SELECT audit.terminate_all_sessions(subject => 'bob');
CREATE TABLE t.orders (session_id uuid REFERENCES audit.user_sessions (id));
INSERT INTO t.orders VALUES (:'b1');
SELECT audit.purge_sessions();
UPDATE audit.user_sessions SET terminated_at = terminated_at - interval '400 days' WHERE subject = 'bob';
SELECT audit.purge_sessions('2 years');
SELECT audit.purge_sessions('1 year', 1);
SELECT audit.purge_sessions();
SELECT audit.purge_sessions();
SELECT count(*) FILTER (WHERE id = :'b1') AS referred_to, count(*) AS sessions
FROM audit.user_sessions WHERE subject IN ('ada', 'bob');
SELECT operation, old_record ->> 'subject' AS subject, old_record ->> 'token_hash' AS token
FROM audit.audit_log WHERE table_name = 'user_sessions' AND operation = 'DELETE' ORDER BY id DESC LIMIT 2;
:try ('SELECT audit.purge_sessions(NULL)') f;
:try ('SELECT audit.purge_sessions(max_rows => NULL)') f;
:try ('SELECT audit.purge_sessions(''1 hour'')') f;
:try ('SELECT audit.purge_sessions(''-1 year'')') f;
:try ('SELECT audit.purge_sessions(max_rows => 0)') f;
-- as a writer: neither
CREATE ROLE regress_session_app;
GRANT audit_writer TO regress_session_app;
GRANT USAGE ON SCHEMA t TO regress_session_app;
SET LOCAL ROLE regress_session_app;
SAVEPOINT refused;
SELECT audit.purge_sessions();
ROLLBACK TO refused;
SELECT audit.clear_suspicion(:'s', 'x');
ROLLBACK;
