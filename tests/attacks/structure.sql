-- Everything about the guarded objects that an attack could change, as one line each; where numbers are
-- compared, the line begins with "at least" and ends with the number.
WITH mine AS (
    SELECT c.*, n.nspname || '.' || c.relname AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('audit', 'audit_api', 'vault', 'shop')
), functions AS (
    SELECT p.*, n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('audit', 'audit_api', 'vault', 'shop')
), types AS (
    SELECT t.*, n.nspname || '.' || t.typname AS name
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname IN ('audit', 'vault')
)
SELECT format('schema %s %s owner %s rights %s', n.oid, n.nspname, n.nspowner::regrole, n.nspacl)
FROM pg_namespace n WHERE n.nspname IN ('audit', 'audit_api', 'vault', 'shop')
UNION ALL
SELECT format('relation %s %s kind %s%s owner %s rights %s row security %s %s rules %s triggers %s bound %s',
              m.oid, m.name, m.relkind, m.relpersistence, m.relowner::regrole, m.relacl, m.relrowsecurity,
              m.relforcerowsecurity, m.relhasrules, m.relhastriggers, pg_get_expr(m.relpartbound, m.oid))
FROM mine m WHERE m.relkind IN ('r', 'p', 'v', 'S')
UNION ALL
SELECT format('column %s %s %s %s not null %s identity %s generated %s rights %s default %s', m.name,
              a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
              a.attgenerated, a.attacl, pg_get_expr(d.adbin, d.adrelid))
FROM mine m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = m.oid AND d.adnum = a.attnum
WHERE m.relkind IN ('r', 'p', 'v')
UNION ALL
SELECT format('constraint %s %s %s validated %s', m.name, c.conname, pg_get_constraintdef(c.oid),
              c.convalidated)
FROM mine m JOIN pg_constraint c ON c.conrelid = m.oid
UNION ALL
SELECT format('trigger %s fires %s internal %s %s %s %s', m.name, t.tgenabled, t.tgisinternal,
              t.tgfoid::regproc,
              CASE WHEN t.tgisinternal THEN 'internal' ELSE t.tgname END,
              CASE WHEN NOT t.tgisinternal THEN pg_get_triggerdef(t.oid) END)
FROM mine m JOIN pg_trigger t ON t.tgrelid = m.oid
UNION ALL
SELECT format('rule %s %s enabled %s %s', m.name, r.rulename, r.ev_enabled, md5(pg_get_ruledef(r.oid)))
FROM mine m JOIN pg_rewrite r ON r.ev_class = m.oid
UNION ALL
SELECT format('policy %s %s', m.name, (p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[],
              pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)))
FROM mine m JOIN pg_policy p ON p.polrelid = m.oid
UNION ALL
SELECT format('index %s valid %s ready %s live %s', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready,
              i.indislive)
FROM mine m JOIN pg_index i ON i.indrelid = m.oid WHERE m.relkind IN ('r', 'p')
UNION ALL
SELECT format('inheritance %s of %s pending %s', i.inhrelid::regclass, i.inhparent::regclass,
              i.inhdetachpending)
FROM pg_inherits i WHERE EXISTS (SELECT FROM mine m WHERE m.oid IN (i.inhrelid, i.inhparent))
UNION ALL
SELECT format('function %s %s', f.oid::regprocedure,
              md5((f.prosrc, f.probin, f.prolang, f.proowner, f.proconfig, f.prosecdef, f.proacl,
                   f.proleakproof, f.provolatile, f.proisstrict)::text))
FROM functions f
UNION ALL
SELECT format('type %s %s owner %s %s', t.oid, t.name, t.typowner::regrole,
              (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e
               WHERE e.enumtypid = t.oid))
FROM types t WHERE t.typtype IN ('e', 'd') OR t.typrelid IN (SELECT m.oid FROM mine m WHERE m.relkind = 'c')
UNION ALL
SELECT format('event trigger %s on %s fires %s owner %s runs %s tags %s', e.evtname, e.evtevent, e.evtenabled,
              e.evtowner::regrole, e.evtfoid::regprocedure, e.evttags)
FROM pg_event_trigger e WHERE e.evtname LIKE 'audit%'
UNION ALL
SELECT format('extension %s %s in %s tables %s', e.extname, e.extversion, e.extnamespace::regnamespace,
              e.extconfig)
FROM pg_extension e WHERE e.extname = 'audit_guard'
UNION ALL
SELECT format('dependency %s of %s', d.refobjid, pg_describe_object(d.classid, d.objid, d.objsubid))
FROM pg_depend d
WHERE (d.classid = 'pg_trigger'::regclass AND d.objid IN (
          SELECT t.oid FROM pg_trigger t JOIN mine m ON m.oid = t.tgrelid))
   OR (d.classid = 'pg_event_trigger'::regclass)
   OR (d.refclassid = 'pg_extension'::regclass AND d.refobjid = (
          SELECT e.oid FROM pg_extension e WHERE e.extname = 'audit_guard'))
   OR (d.classid = 'pg_class'::regclass AND d.objid IN (
          SELECT m.oid FROM mine m WHERE m.relkind IN ('r', 'p')))
UNION ALL
SELECT format('role %s %s', r.rolname, (r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcanlogin,
              r.rolbypassrls))
FROM pg_roles r WHERE r.rolname IN ('vault_owner', 'mallory', 'clerk', 'auditor') OR r.rolname LIKE 'audit\_%'
UNION ALL
SELECT format('member %s of %s', m.member::regrole, m.roleid::regrole)
FROM pg_auth_members m
WHERE m.roleid::regrole::text ~ '^(audit|vault)' OR m.member::regrole::text ~ '^(audit|clerk|vault)'
UNION ALL
SELECT format('sequence %s.%s from %s by %s to %s cycles %s', s.schemaname, s.sequencename, s.start_value,
              s.increment_by, s.max_value, s.cycle)
FROM pg_sequences s WHERE s.schemaname IN ('audit', 'vault', 'shop')
UNION ALL
SELECT format('at least %s.%s %s', s.schemaname, s.sequencename, coalesce(s.last_value, 0))
FROM pg_sequences s WHERE s.schemaname IN ('vault', 'shop')
UNION ALL
SELECT format('numbers of the log given twice %s', count(*) - count(DISTINCT l.id)) FROM audit.audit_log l
UNION ALL
SELECT format('forged rows %s %s %s %s',
              (SELECT count(*) FROM audit.audit_log l WHERE l.record_id LIKE 'forged%'),
              (SELECT count(*) FROM vault.records r WHERE r.note LIKE 'forged%'),
              (SELECT count(*) FROM vault.parts p WHERE p.note LIKE 'forged%'),
              (SELECT count(*) FROM audit.security_events e WHERE e.description LIKE 'forged%'))
