-- Purpose: docs/reference.md as one text, from the comments and the catalogue of an installed extension.
-- Who may call: scripts/reference.sh, and the test that compares the page with what this gives.
-- Relies on: a database with the extension. Calling version() loads the library, and so its settings.

WITH capabilities(place, title, names) AS (VALUES
    (1, 'Which tables are recorded', '{enable_tracking,disable_tracking,enable_tracking_schema,
        disable_tracking_schema,repair_tracking,log_changes}'::text[]),
    (2, 'Who acts', '{set_context,current_context}'),
    (3, 'Reading what happened', '{record_history,record_as_of,table_as_of,transaction_changes,undo_sql}'),
    (4, 'Keeping the log', '{maintain_partitions,index_log,begin_restore,import_history}'),
    (5, 'Append-only tables', '{prevent_modification,prevent_audit_modification}'),
    (6, 'Tables whose rows are kept', '{protect,extend_retention,place_hold,release_hold,enforce_retention}'),
    (7, 'Letting expired rows go', '{retention_plan,apply_retention,confirm_clock,schedule_maintenance}'),
    (8, 'Code written for earlier functions', '{install_compat,remove_compat}'),
    (9, 'Sealing', '{seal,wait_sealed,tree_head,declare_discontinuity}'),
    (10, 'Checkpoints', '{trust_key,withdraw_key,import_checkpoint,checkpoint,consistency,record_export}'),
    (11, 'Verifying', '{verify,verify_incremental,explain_row,receipt,verify_receipt,proof}'),
    (12, 'Erasing', '{redact,redact_subject}'),
    (13, 'Sessions', '{create_user_session,validate_session,update_session_activity,terminate_session,
        terminate_all_sessions,expire_sessions,clear_suspicion,purge_sessions}'),
    (14, 'Security events', '{log_security_event,has_role}'),
    (15, 'Logins', '{begin_login_attempt,finish_login_attempt,check_login,should_block_login,unlock_login,
        unlock_network,allow_network,disallow_network,rebuild_login_counters}'),
    (16, 'State of the installation', '{guard_status,health,version}')
), described AS (
    SELECT d.classoid, d.objoid,
           -- Comments are written as definitions; a first word that is no name begins a sentence here.
           CASE WHEN d.description ~ '^[a-z]+[ ,:]' THEN upper(left(d.description, 1)) ELSE
                left(d.description, 1) END || substr(d.description, 2) || '.' AS sentence
    FROM pg_description d WHERE d.objsubid = 0
), members AS (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'audit_guard'
), functions AS (
    SELECT p.*, coalesce(c.place, 17) * 100 + coalesce(array_position(c.names, p.proname::text), 0) AS place,
           coalesce(c.title, 'Further functions') AS title, s.sentence,
           -- Of twins the one that takes a key of any type comes last.
           row_number() OVER (PARTITION BY p.proname
                              ORDER BY 'anyelement'::regtype = ANY (p.proargtypes),
                                       p.oid::regprocedure::text COLLATE "C")::integer AS twin
    FROM pg_proc p
    LEFT JOIN capabilities c ON p.proname = ANY (c.names)
    LEFT JOIN described s ON s.classoid = 'pg_proc'::regclass AND s.objoid = p.oid
    WHERE p.pronamespace = 'audit'::regnamespace AND NOT starts_with(p.proname, '_')
), relations AS (
    SELECT c.oid, c.relname::text AS name, c.relkind, c.relowner AS owner, c.relacl AS acl, s.sentence
    FROM pg_class c
    JOIN members m ON CASE WHEN c.relkind = 'c' THEN m.classid = 'pg_type'::regclass AND m.objid = c.reltype
                           ELSE m.classid = 'pg_class'::regclass AND m.objid = c.oid END
    LEFT JOIN described s ON (s.classoid, s.objoid) = (m.classid, m.objid)
    WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'c')
      AND NOT starts_with(c.relname, '_')
), allowed AS (
    SELECT o.oid, string_agg(CASE WHEN a.grantee = 0 THEN 'everybody'
                                  ELSE format('`%s`', a.grantee::regrole) END, ', '
                             ORDER BY a.grantee::regrole::text COLLATE "C") AS who
    FROM (SELECT p.oid, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) FROM functions p
          UNION ALL SELECT r.oid, r.owner, r.acl FROM relations r) o(oid, owner, acl)
    CROSS JOIN LATERAL aclexplode(o.acl) a
    WHERE a.grantee <> o.owner AND a.privilege_type IN ('EXECUTE', 'SELECT')
    GROUP BY o.oid
), page(part, place, thing, line, content) AS (
    SELECT 0, 0, '', 0, format(
        E'# Reference of audit_guard %s\n\n'
        'Made by `make reference` from the comments in the database: change those, not this page. What '
        'begins with an underscore is internal and left out.\n\n'
        '## Functions', audit.version())
    UNION ALL
    SELECT DISTINCT 1, f.place / 100 * 100, '', 0, E'\n### ' || f.title FROM functions f
    UNION ALL
    SELECT DISTINCT 1, f.place, f.proname::text, 0, format(E'\n#### %s', f.proname) FROM functions f
    UNION ALL
    SELECT 1, f.place, f.proname::text, f.twin,
           format(E'\n```sql\naudit.%I(%s) RETURNS %s\n```\n\n%s\n\n'
                  '%s, with the rights of %s. May be called by: %s.', f.proname, a.arguments,
                  pg_get_function_result(f.oid), f.sentence,
                  CASE f.provolatile WHEN 'v' THEN 'Volatile' WHEN 's' THEN 'Stable' ELSE 'Immutable' END,
                  CASE WHEN f.prosecdef THEN 'its owner' ELSE 'the caller' END,
                  coalesce(w.who, 'superusers'))
    FROM functions f
    LEFT JOIN allowed w ON w.oid = f.oid
    CROSS JOIN LATERAL (
        SELECT string_agg(
            concat_ws(' ', E'\n   ', quote_ident(f.proargnames[n.i]),
                      format_type(f.proargtypes[n.i - 1], NULL),
                      'DEFAULT ' || regexp_replace(pg_get_function_arg_default(f.oid, n.i),
                                                   '^(NULL|''[^'']*'')::.*$', '\1')), ',' ORDER BY n.i)
        FROM generate_series(1, f.pronargs) n(i)) a(arguments)
    UNION ALL
    SELECT 2, 0, '', 0, E'\n## For PostgREST\n\n' || s.sentence || E'\n\nFunctions, with the arguments and '
           'rights of those in `audit`: '
           || (SELECT string_agg(format('`%s`', p.proname), ', ' ORDER BY p.proname)
               FROM pg_proc p WHERE p.pronamespace = s.objoid)
           || E'.\n\nViews: '
           || (SELECT string_agg(format('`%s`', c.relname), ', ' ORDER BY c.relname)
               FROM pg_class c WHERE c.relnamespace = s.objoid AND c.relkind = 'v') || '.'
    FROM described s WHERE s.classoid = 'pg_namespace'::regclass AND s.objoid = 'audit_api'::regnamespace
    UNION ALL
    SELECT k.part, 0, '', 0, E'\n## ' || k.title
    FROM (VALUES (3, 'Tables'), (4, 'Views'), (5, 'Types'), (6, 'Settings'), (7, 'Roles')) k(part, title)
    UNION ALL
    SELECT CASE WHEN r.relkind IN ('r', 'p') THEN 3 WHEN r.relkind = 'v' THEN 4 ELSE 5 END, 1, r.name, 0,
           format(E'\n### %s\n\n%s%s\n\n| column | type | |\n|---|---|---|\n%s', r.name, r.sentence,
                  CASE WHEN r.relkind <> 'c' THEN ' May be read by: ' || coalesce(w.who, 'superusers') || '.'
                  END,
                  (SELECT string_agg(format('| `%s` | %s%s | %s |', a.attname,
                                            format_type(a.atttypid, a.atttypmod),
                                            CASE WHEN a.attnotnull THEN ', not null' END,
                                            replace(col_description(r.oid, a.attnum), '|', '\|')),
                                     E'\n' ORDER BY a.attnum)
                   FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped))
    FROM relations r LEFT JOIN allowed w ON w.oid = r.oid
    UNION ALL
    SELECT 5, 1, t.typname::text, 0,
           format(E'\n### %s\n\n%s One of: %s.', t.typname, s.sentence,
                  (SELECT string_agg(format('`%s`', e.enumlabel), ', ' ORDER BY e.enumsortorder)
                   FROM pg_enum e WHERE e.enumtypid = t.oid))
    FROM pg_type t LEFT JOIN described s ON s.classoid = 'pg_type'::regclass AND s.objoid = t.oid
    WHERE t.typnamespace = 'audit'::regnamespace AND t.typtype = 'e'
    UNION ALL
    SELECT 6, 1, '', 0, E'\n| setting | changed by | default | |\n|---|---|---|---|\n'
           || string_agg(format('| `%s` | %s | `%s` | %s |', s.name, s.context, s.boot_val,
                                replace(concat_ws(' ', s.short_desc, s.extra_desc), '|', '\|')),
                         E'\n' ORDER BY s.name COLLATE "C")
    FROM pg_settings s WHERE s.name LIKE 'audit\_guard.%'
    UNION ALL
    SELECT 7, 1, '', 0, E'\n| role | |\n|---|---|\n'
           || string_agg(format('| `%s` | %s |', r.rolname,
                                replace(shobj_description(r.oid, 'pg_authid'), 'audit_guard: ', '')),
                         E'\n' ORDER BY r.rolname COLLATE "C")
    FROM pg_roles r WHERE shobj_description(r.oid, 'pg_authid') LIKE 'audit\_guard: %'
)
-- Sentences are folded; rows of tables and code stay as they are.
SELECT string_agg(CASE WHEN l.text ~ '^(\||    |audit\.)' THEN l.text
                       ELSE rtrim(regexp_replace(l.text, '(.{1,108})( |$)', E'\\1\n', 'g'), E'\n') END,
                  E'\n' ORDER BY p.part, p.place, p.thing COLLATE "C", p.line, l.number)
FROM page p CROSS JOIN LATERAL regexp_split_to_table(p.content, '\n') WITH ORDINALITY l(text, number)
