-- Who sees which sessions: readers all, people their own, the admin of a tenant those of the tenant.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
BEGIN;
SET LOCAL intervalstyle = postgres;
SELECT set_config('audit_guard.trusted_logins', session_user, true) IS NOT NULL AS trusted;
CREATE ROLE regress_people;
CREATE ROLE regress_writer;
GRANT audit_writer TO regress_writer;
-- what the installation does on Supabase for authenticated
GRANT SELECT ON audit.user_sessions, audit_api.my_sessions TO regress_people;
CREATE FUNCTION t.as_person(claims jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT set_config('request.jwt.claims', claims::text, true) $$;
SELECT audit.create_user_session(subject => s.subject, ip_address => '203.0.113.9', tenant_id => s.tenant,
        device_info => jsonb_build_object('device_type', s.device, 'device_id',
        s.subject || s.device)) IS NOT NULL AS made
    FROM (VALUES ('ada', 't1', 'mobile'), ('ada', 't1', 'desktop'), ('bob', 't1', 'tablet'), ('cyd',
    't2', 'mobile'),
                 ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL, 'desktop'), ('t1', NULL, 'unknown'))
         s(subject, tenant, device);
SELECT count(audit.terminate_session(id)) FROM audit.user_sessions WHERE device_id = 'adamobile';
SELECT count(audit.validate_session(id, device_fingerprint => 'x', ip_address => '198.51.100.7'))
    FROM audit.user_sessions WHERE subject IN ('ada', 'cyd');
UPDATE audit.user_sessions SET last_active_at = clock_timestamp() - interval '1 day' WHERE subject = 'bob';
-- the views, for a reader
SET LOCAL ROLE regress_reader;
SELECT count(*) FROM audit.user_sessions;
SELECT subject, tenant_id, device_type, is_suspicious, ends_at - last_active_at AS idle
    FROM audit.active_sessions
    ORDER BY subject;
SELECT subject, suspicious_reason, is_active, termination_reason FROM audit.suspicious_sessions
    ORDER BY subject;
SELECT subject, user_id, sessions, suspicious_sessions, addresses, device_types FROM audit.sessions_by_user
    ORDER BY subject;
SELECT count(*) FROM audit_api.my_sessions;
RESET ROLE;
-- none of them shows a token's hash, and every column is explained
SELECT c.relname, count(*) FILTER (WHERE a.attname ~ 'token') AS tokens,
       count(*) FILTER (WHERE col_description(c.oid, a.attnum) IS NULL) AS unexplained
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relname IN ('active_sessions', 'suspicious_sessions', 'sessions_by_user', 'my_sessions')
    GROUP BY 1 ORDER BY 1;
-- people behind one role
SET LOCAL ROLE regress_people;
SELECT count(*) FROM audit.user_sessions;
SELECT t.as_person('{"sub": "ada"}');
SELECT subject, device_type FROM audit.user_sessions ORDER BY device_type;
SELECT device_type, is_active, termination_reason, is_suspicious, ip_address FROM audit_api.my_sessions
    ORDER BY device_type;
SELECT t.as_person('{"sub": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}');
SELECT subject FROM audit.user_sessions;
SELECT subject FROM audit.user_sessions WHERE user_id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
SELECT count(*) FROM audit_api.my_sessions;
-- the admin of a tenant, and one of no tenant
SELECT t.as_person('{"sub": "zoe", "app_metadata": {"role": "admin", "tenant_id": "t1"}}');
SELECT subject, tenant_id FROM audit.user_sessions ORDER BY subject, device_type;
SELECT count(*) FROM audit_api.my_sessions;
SELECT t.as_person('{"sub": "zoe", "app_metadata": {"role": "admin"}}');
SELECT count(*) FROM audit.user_sessions;
SELECT t.as_person('{"sub": "zoe", "app_metadata": {"tenant_id": "t1"}}');
SELECT count(*) FROM audit.user_sessions;
-- a reader by claims; what people write about themselves does not count
SELECT t.as_person('{"sub": "zoe", "app_metadata": {"audit_roles": ["reader"]}}');
SELECT count(*) FROM audit.user_sessions;
SELECT t.as_person('{"sub": "zoe", "user_metadata": {"role": "super_admin", "audit_roles": ["reader"]}}');
SELECT count(*) FROM audit.user_sessions;
SELECT t.as_person('{"sub": "x'' OR true --"}');
SELECT count(*) FROM audit.user_sessions;
SELECT t.as_person('[]');
SELECT count(*) FROM audit.user_sessions;
-- they only look
SELECT t.as_person('{"sub": "ada"}');
:try ($$UPDATE audit.user_sessions SET is_suspicious = false$$) f;
:try ($$DELETE FROM audit_api.my_sessions$$) f;
:try ($$SELECT count(*) FROM audit.active_sessions$$) f;
:try ($$SELECT audit_api.terminate_all_sessions(subject => 'bob')$$) f;
-- claims of a login that is not trusted are none
RESET ROLE;
SET LOCAL audit_guard.trusted_logins = 'authenticator';
SET LOCAL ROLE regress_people;
SELECT count(*) FROM audit.user_sessions;
-- one's own are found by an index
RESET ROLE;
SELECT set_config('audit_guard.trusted_logins', session_user, true) IS NOT NULL AS trusted;
SET LOCAL enable_seqscan = off;
SET LOCAL ROLE regress_people;
DO $$
DECLARE
    plan text := '';
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) SELECT * FROM audit_api.my_sessions' LOOP
        plan := plan || line;
    END LOOP;
    RAISE NOTICE 'by subject: %', plan ~ 'Index Cond: \(\(?subject = ';
END $$;
RESET ROLE;
RESET enable_seqscan;
-- a role without a grant, a writer, and a reader who is no member sees nothing
SET LOCAL ROLE regress_app;
:try ($$SELECT count(*) FROM audit.user_sessions$$) f;
:try ($$SELECT count(*) FROM audit.sessions_by_user$$) f;
:try ($$SELECT count(*) FROM audit_api.my_sessions$$) f;
SET LOCAL ROLE regress_writer;
:try ($$SELECT count(*) FROM audit.active_sessions$$) f;
ROLLBACK;
