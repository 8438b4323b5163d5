-- Security events as evidence: sealed, proven by id, erased on request, held, and gone when their time is over.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
\set try 'SELECT f.code, f.message, f.hint FROM t.try'
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
GRANT USAGE ON SCHEMA t TO PUBLIC;
CREATE ROLE regress_officer;
GRANT audit_officer TO regress_officer;
SELECT audit.log_security_event('data_export', 'exported', subject => '118-7', tenant_id => 't1',
    metadata => '{"email": "eve@ledger.example", "rows": 7}', ip_address => '203.0.113.9') AS one \gset
SELECT audit.log_security_event('login_failed',
    metadata => '{"email": "Eve@Ledger.example", "try": 1}') AS two \gset
SELECT audit.log_security_event('logout', 'bye', '1ed9e411-1111-4111-8111-111111111111',
    tenant_id => 'T2') AS three \gset
SELECT number AS first FROM audit.security_events WHERE id = :'one' \gset
SELECT audit.seal() > 0 AS sealed;
SELECT count(*) AS faults FROM audit.verify('security_events')
    WHERE code NOT IN ('internally_consistent', 'acknowledged_gap');
-- by the id that people have, with and without a cast, and by the number that verify shows
SELECT count(*) AS fields, bool_and(matches) AS intact,
       max(stored_value) FILTER (WHERE field = 'subject') AS subject
    FROM audit.explain_row('security_events', :'one') WHERE matches IS NOT NULL;
SELECT count(*) AS fields FROM audit.explain_row('security_events', :'one'::uuid) WHERE matches;
SELECT count(*) AS fields FROM audit.explain_row('security_events', :first) WHERE matches;
SELECT (audit.verify_receipt(audit.receipt('security_events', :'one'::uuid))).code;
SELECT (audit.verify_receipt(audit.receipt('security_events', upper(:'one'), '{event_type,severity}'))).code;
:try ($$SELECT audit.receipt('security_events', gen_random_uuid())$$) f;
:try ($$SELECT audit.receipt('security_events', 'not an id')$$) f;
-- a name means the column and the key of metadata; what stays is still proven
SET ROLE regress_officer;
SELECT audit.redact('security_events', :'one', '{email,ip_address}', 'GDPR 17(1)(b)', 'DPO-1') > 0 AS event;
SELECT audit.redact('security_events', :'one'::uuid, '{rows}', 'GDPR 17(1)(b)', 'DPO-1') > 0 AS event;
SELECT audit.redact('security_events', :first, '{description}', 'GDPR 17(1)(b)', 'DPO-1') > 0 AS event;
SET client_min_messages = warning;
SELECT audit.redact('security_events', :'one', '{email,rows,description}', 'GDPR 17(1)(b)', 'DPO-1') AS nothing_left;
:try (format('SELECT audit.redact(%L, %L, %L, %L, %L)', 'security_events', :'one', '{severity}', 'law',
    'T')) f \gset
SELECT :'code' AS code, replace(:'message', :'one', '<id>') AS message, :'hint' AS hint;
:try ($$SELECT audit.redact('security_events', 'x', '{email}', 'law', 'T')$$) f;
:try ($$SELECT audit.redact('security_events', '00000000-0000-4000-8000-000000000000', '{email}', 'law', 'T')$$) f;
RESET ROLE;
SELECT description, subject, email, ip_address, metadata, salt, redaction IS NOT NULL AS redacted
    FROM audit.security_events WHERE id = :'one';
SELECT count(*) FILTER (WHERE code NOT IN ('internally_consistent', 'acknowledged_gap')) AS faults,
       bool_or(detail ~ 'authorised redactions: security_events') AS authorised FROM audit.verify('security_events');
SELECT bool_and(matches) AS intact FROM audit.explain_row('security_events', :'one');
SELECT (audit.verify_receipt(audit.receipt('security_events', :'one'))).code;
-- a person: by subject, by uuid in any spelling, and by the address of a login that failed
SET ROLE regress_officer;
SELECT r.*
    FROM audit.redact_subject('EVE@ledger.example', '{email,full_name}', 'GDPR 17(1)(b)', 'DPO-2') r
    WHERE r.stream = 'security_events';
SELECT r.*
    FROM audit.redact_subject('118-7', '{subject,try}', 'GDPR 17(1)(b)', 'DPO-2') r
    WHERE r.stream = 'security_events';
SELECT r.*
    FROM audit.redact_subject('118-7', '{subject}', 'GDPR 17(1)(b)', 'DPO-2') r
    WHERE r.stream = 'security_events';
-- what is held stays
SELECT audit.place_hold('audit.security_events', 'court',
    subject => '1ED9E411-1111-4111-8111-11111111111A') AS another \gset
SELECT audit.place_hold('audit.security_events', 'court',
    subject => '1ed9e411-1111-4111-8111-111111111111') AS held \gset
SELECT r.*
    FROM audit.redact_subject('1ed9e411-1111-4111-8111-111111111111', '{user_id,subject}', 'GDPR', 'DPO-3') r
    WHERE r.stream = 'security_events';
SELECT audit.release_hold(:held, 'settled');
SELECT audit.release_hold(:another, 'settled');
SELECT audit.place_hold('audit.security_events', 'court', tenant_id => 't2') AS held \gset
:try (format('SELECT audit.redact(%L, %L, %L, %L, %L)', 'security_events', :'three', '{subject}', 'law',
    'T')) f \gset
SELECT :'code' AS code, replace(:'message', :'three', '<id>') ~ '<id> of security_events is held' AS message;
SELECT audit.release_hold(:held, 'settled');
SELECT audit.place_hold('audit.security_events', 'court', record_ids => ARRAY[upper(:'three')]) AS held \gset
SELECT code FROM t.try(format('SELECT audit.redact(%L, %L, %L, %L, %L)', 'security_events', :'three',
    '{subject}', 'law', 'T'));
SELECT audit.release_hold(:held, 'settled');
SELECT r.*
    FROM audit.redact_subject('1ed9e411-1111-4111-8111-111111111111', '{user_id,subject}', 'GDPR', 'DPO-3') r
    WHERE r.stream = 'security_events';
RESET ROLE;
RESET client_min_messages;
SELECT event_type, subject, user_id, email, metadata FROM audit.security_events WHERE id IN (:'one', :'two', :'three')
    ORDER BY number;
SELECT audit.seal() > 0 AS sealed;
SELECT count(*) AS faults FROM audit.verify('security_events')
    WHERE code NOT IN ('internally_consistent', 'acknowledged_gap');
-- months whose time is over go, when they are sealed; rolled back, for other tests count on the leaves
BEGIN;
SET LOCAL ROLE audit_owner;
SELECT audit._make_past_months('audit.security_events', now() - interval '7 years 2 months');
RESET ROLE;
SELECT audit.begin_restore('events of long ago');
INSERT INTO audit.security_events (logged_at, transaction_id, event_type, description, actor_role, login_role)
    SELECT date_trunc('month', now() - interval '7 years 2 months') + i * interval '1 hour',
           pg_current_xact_id()::text::bigint, 'logout', 'old', 'a', 'a' FROM generate_series(1, 3) i;
SELECT rows_expired, regexp_replace(action, '\d{4}_\d{2}', 'YYYY_MM') AS action, more
    FROM audit.retention_plan() WHERE relation = 'audit.security_events';
SELECT newest > now() - interval '1 day' AS newest FROM audit._newest_rows()
    WHERE relation = 'audit.security_events';
SELECT count(*) AS unsealed_leaves FROM audit._leaves('audit.security_events') l
    WHERE NOT audit._is_leaf_sealed('audit.security_events', l.leaf);
SET LOCAL client_min_messages = warning;
SELECT audit.extend_retention('audit.security_events', '10 years');
SELECT retention FROM audit.protected_tables WHERE table_name = 'security_events';
SELECT code FROM t.try($$SELECT audit.extend_retention('audit.security_events', '7 years')$$);
ROLLBACK;
REVOKE audit_officer FROM regress_officer;
DROP ROLE regress_officer;
