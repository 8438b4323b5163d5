-- Security events: what is logged by whom, what is filled in, what is refused, and that they stay as they are.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
CREATE ROLE regress_writer;
GRANT audit_writer TO regress_writer;
GRANT USAGE ON SCHEMA t TO PUBLIC;
SELECT count(*) AS before FROM audit.security_events \gset
-- What stands in the last event.
CREATE FUNCTION t.event(shown text[] DEFAULT NULL) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.key || '=' || f.value
    FROM (SELECT * FROM audit.security_events ORDER BY number DESC LIMIT 1) e
    CROSS JOIN LATERAL jsonb_each_text(to_jsonb(e)) f
    WHERE f.value IS NOT NULL AND CASE WHEN shown IS NULL
        THEN f.key NOT IN ('id', 'logged_at', 'number', 'transaction_id', 'salt', 'actor_role', 'login_role')
        ELSE f.key = ANY (shown) END
    ORDER BY f.key COLLATE "C"
$$;
-- the least that can be said, and what each type means by itself
SET ROLE regress_writer;
SELECT pg_typeof(audit.log_security_event('logout')) AS id;
SELECT * FROM t.event();
RESET ROLE;
SELECT count(audit.log_security_event(t.type))
FROM unnest(enum_range(NULL::audit.security_event_type)) t(type);
SELECT t.type, e.severity, e.outcome, e.description
FROM unnest(enum_range(NULL::audit.security_event_type)) t(type)
JOIN LATERAL (SELECT s.* FROM audit.security_events s WHERE s.event_type = t.type ORDER BY number DESC LIMIT 1) e
    ON true ORDER BY t.type;
-- positional, in the order of the earlier function
SELECT audit.log_security_event('data_export'::audit.security_event_type, 'three files',
    '11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222', '{"files": 3}'::jsonb,
    'critical', 'tenant 9', 'report', 'R-7') IS NOT NULL AS logged;
SELECT * FROM t.event();
-- everything by name
SELECT audit.log_security_event(event_type => 'permission_denied', description => 'Ünï "q"', subject => 'ada',
    email => 'Ada@Example.org', ip_address => '203.0.113.9', user_agent => 'curl/8', severity => 'info',
    metadata => '{"email": "other@example.org"}') IS NOT NULL AS logged;
SELECT * FROM t.event();
-- who is logged is who asked, not whose function it is
SET ROLE regress_writer;
SELECT audit.log_security_event('logout') IS NOT NULL AS logged;
RESET ROLE;
SELECT * FROM t.event('{actor_role}');
-- ids are in the order of time and hold it; numbers follow each other
SELECT bool_and(id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') AS version_7,
       count(DISTINCT id) = count(*) AS distinct, count(DISTINCT number) = count(*) AS numbered,
       bool_and(abs(extract(epoch FROM logged_at)
           - ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) < 1) AS id_holds_time
FROM audit.security_events;
-- what the request says: person, session, tenant, address, program
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "0199AAAA-bbbb-7ccc-8ddd-eeeeffff0000", "session_id":
    "33333333-3333-4333-8333-333333333333", "app_metadata": {"tenant_id": "acme"}}';
SET LOCAL request.headers = '{"x-forwarded-for": "198.51.100.7, 203.0.113.9", "user-agent": "app/1"}';
SELECT audit.log_security_event('password_changed') IS NOT NULL AS logged;
SELECT * FROM t.event();
-- who logs in is not who is logged in
SELECT audit.log_security_event('login_failed', metadata => '{"email": "ada@example.org"}') IS NOT NULL
    AS logged;
SELECT * FROM t.event('{subject,user_id,email,session_id,ip_address}');
-- what is said outright counts more
SELECT audit.log_security_event('mfa_enabled', user_id => '11111111-1111-4111-8111-111111111111',
    session_id => '44444444-4444-4444-8444-444444444444', tenant_id => 'other', ip_address => '2001:db8::1',
    user_agent => 'app/2') IS NOT NULL AS logged;
SELECT * FROM t.event();
ROLLBACK;
BEGIN;
SELECT audit.set_context(actor_id => 4711, client_ip => '192.0.2.1', tenant_id => 't1');
SELECT audit.log_security_event('password_changed') IS NOT NULL AS logged;
SELECT * FROM t.event();
-- an address that is none, or headers that are none, are no error
SET LOCAL request.headers = '{"x-forwarded-for": "nonsense"}';
SELECT audit.set_context();
SELECT audit.log_security_event('logout') IS NOT NULL AS logged;
SET LOCAL request.headers = 'nonsense';
SELECT audit.log_security_event('logout') IS NOT NULL AS logged;
SELECT * FROM t.event('{ip_address,user_agent,subject}');
ROLLBACK;
-- one person, two ways to say it
SELECT audit.log_security_event('logout', subject => 'AAAAAAAA-1111-4111-8111-111111111111',
    user_id => 'aaaaaaaa-1111-4111-8111-111111111111') IS NOT NULL AS logged;
SELECT * FROM t.event('{subject,user_id}');
SELECT audit.log_security_event('logout', subject => '  ') IS NOT NULL AS logged;
SELECT * FROM t.event('{subject,user_id}');
:try ($$SELECT audit.log_security_event('logout', subject => 'ada',
    user_id => '11111111-1111-4111-8111-111111111111')$$) f;
-- long texts
SELECT audit.log_security_event('logout', repeat('d', 5000), subject => repeat('s', 5000),
    tenant_id => repeat('ü', 5000), email => repeat('e', 5000), user_agent => repeat('u', 5000),
    entity_type => repeat('t', 5000), entity_id => repeat('i', 5000),
    metadata => jsonb_build_object('m', repeat('m', 100000))) IS NOT NULL AS logged;
SELECT length(description), length(subject), length(tenant_id), length(email), length(user_agent),
       length(entity_id), length(metadata ->> 'm') FROM audit.security_events ORDER BY number DESC LIMIT 1;
-- refusals
:try ('SELECT audit.log_security_event(NULL)') f;
:try ($$SELECT audit.log_security_event('coffee')$$) f;
:try ($$SELECT audit.log_security_event('logout', severity => 'fatal')$$) f;
:try ($$SELECT audit.log_security_event('logout', metadata => '[1]')$$) f;
:try ($$SELECT audit.log_security_event('logout', metadata => '"x"')$$) f;
:try ($$SELECT audit.log_security_event('logout', metadata => '{"audit_guard": {}}')$$) f;
SELECT audit.log_security_event('logout', metadata => NULL) IS NOT NULL AS logged;
SELECT * FROM t.event('{metadata}');
SET ROLE regress_app;
:try ($$SELECT audit.log_security_event('logout')$$) f;
:try ('SELECT count(*) FROM audit.security_events') f;
:try ($$SELECT audit._write_event('logout', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL)$$) f;
RESET ROLE;
-- a savepoint that is rolled back takes its event along
BEGIN;
SAVEPOINT a;
SELECT audit.log_security_event('logout', 'not to be seen') IS NOT NULL AS logged;
ROLLBACK TO a;
SELECT count(*) FROM audit.security_events WHERE description = 'not to be seen';
COMMIT;
-- nobody writes, changes or removes rows
:try ($$INSERT INTO audit.security_events (event_type, description, actor_role, login_role, transaction_id)
    VALUES ('logout', 'x', 'x', 'x', 1)$$) f;
:try ($$UPDATE audit.security_events SET severity = 'info'$$) f;
:try ('DELETE FROM audit.security_events') f;
:try ('TRUNCATE audit.security_events') f;
SET session_replication_role = replica;
:try ('DELETE FROM audit.security_events') f;
RESET session_replication_role;
SET ROLE regress_writer;
:try ('SELECT count(*) FROM audit.security_events') f;
:try ('DELETE FROM audit.security_events') f;
RESET ROLE;
SET ROLE regress_reader;
SELECT count(*) > :before AS reads FROM audit.security_events;
:try ('DELETE FROM audit.security_events') f;
RESET ROLE;
-- the parent has no key and no index; each leaf has the same, by name
CREATE TEMP VIEW leaves AS SELECT c.oid, c.relname AS name, c.relowner, c.relacl
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit.security_events'::regclass;
SELECT count(*) FROM pg_index WHERE indrelid = 'audit.security_events'::regclass;
SELECT replace(i.relname, l.name, '<leaf>') AS index,
       replace(regexp_replace(pg_get_indexdef(i.oid), '^.* USING ', ''), l.name, '<leaf>') AS definition,
       x.indisprimary AS is_key, count(*) = (SELECT count(*) FROM leaves) AS on_all
    FROM leaves l JOIN pg_index x ON x.indrelid = l.oid JOIN pg_class i ON i.oid = x.indexrelid
    GROUP BY 1, 2, 3 ORDER BY 1;
SELECT count(*) FILTER (WHERE relowner <> 'audit_owner'::regrole) AS foreign_owners,
       count(*) FILTER (WHERE EXISTS (SELECT FROM aclexplode(relacl) a WHERE a.grantee <> relowner)) AS granted,
       count(*) FILTER (WHERE EXISTS (SELECT FROM pg_depend d WHERE d.objid = leaves.oid AND d.deptype = 'e'))
           AS members
    FROM leaves;
-- it is kept for seven years, and sealed
SELECT table_name, is_stream, retention, timestamp_column, is_in_force FROM audit.protected_tables
    WHERE table_name = 'security_events';
SELECT stream_no, stream, number_column, time_column, erasable FROM audit.ledger_streams WHERE stream_no = 7;
SELECT c.oid::regclass AS dumped FROM pg_extension e, unnest(e.extconfig) t(oid) JOIN pg_class c USING (oid)
WHERE c.relname ~ 'security_events' ORDER BY 1;
-- the questions that are asked of it find an index in every leaf
CREATE FUNCTION t.scans(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found text[] := '{}';
BEGIN
    SET LOCAL enable_seqscan = off;
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || question LOOP
        found := found || regexp_replace(
            substring(line FROM '(?:Index|Index Only|Bitmap Index) Scan (?:Backward )?(?:using|on) (\S+)'),
            '^security_events_(past|future|\d{4}_\d{2})_', '');
        IF line ~ 'Seq Scan' THEN
            found := found || 'all rows'::text;
        END IF;
    END LOOP;
    RETURN (SELECT string_agg(DISTINCT f, ', ') FROM unnest(found) f);
END $$;
SELECT t.scans($$SELECT FROM audit.security_events WHERE user_id = '11111111-1111-4111-8111-111111111111'
    ORDER BY logged_at DESC LIMIT 10$$);
SELECT t.scans($$SELECT FROM audit.security_events WHERE subject = 'ada' AND logged_at > '2020-01-01'$$);
SELECT t.scans($$SELECT FROM audit.security_events WHERE event_type = 'login_failed'
    ORDER BY logged_at DESC LIMIT 10$$);
SELECT t.scans($$SELECT FROM audit.security_events WHERE severity IN ('warning', 'critical')
    AND logged_at > '2020-01-01'$$);
SELECT t.scans($$SELECT FROM audit.security_events WHERE tenant_id = 't1' AND logged_at > '2020-01-01'$$);
SELECT t.scans($$SELECT FROM audit.security_events WHERE id = '01990000-0000-7000-8000-000000000001'$$);
DROP FUNCTION t.event(text[]), t.scans(text);
REVOKE audit_writer FROM regress_writer;
DROP ROLE regress_writer;
