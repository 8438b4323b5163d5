-- What the extension puts into a database, as the catalogue sees it.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
-- leaves are there, so that the checks below see them
SELECT count(*) >= 0 AS done FROM audit.maintain_partitions();
CREATE TEMP VIEW ours AS SELECT d.classid, d.objid FROM pg_depend d
    JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'audit_guard';
-- every member of ours is in schema audit or audit_api, and whatever is in schema audit is ours or a leaf
SELECT pg_describe_object(o.classid, o.objid, 0) AS elsewhere
    FROM ours o, pg_identify_object(o.classid, o.objid, 0) i
    WHERE coalesce(i.schema, '') NOT IN ('audit', 'audit_api')
    AND i.type NOT IN ('schema', 'policy', 'trigger', 'rule', 'event trigger')
    ORDER BY 1;
SELECT c.relname AS stranger FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace
    AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT EXISTS (SELECT FROM ours WHERE objid = c.oid AND classid = 'pg_class'::regclass)
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'i') ORDER BY 1;
SELECT count(*) AS foreign_functions FROM pg_proc p WHERE p.pronamespace = 'audit'::regnamespace
    AND NOT EXISTS (SELECT FROM ours WHERE objid = p.oid AND classid = 'pg_proc'::regclass);
-- no leaf is a member: it would be missing from every dump
SELECT count(*) AS member_leaves FROM ours JOIN pg_inherits ON inhrelid = objid
    WHERE classid = 'pg_class'::regclass;
-- tables and sequences that hold data are registered for dumps
SELECT c.oid::regclass AS dumped FROM pg_extension e, unnest(e.extconfig) WITH ORDINALITY x (oid, nr)
    JOIN pg_class c USING (oid)
    WHERE e.extname = 'audit_guard' ORDER BY c.relname;
SELECT c.oid::regclass AS not_registered FROM ours JOIN pg_class c ON c.oid = objid
    AND classid = 'pg_class'::regclass
    WHERE c.relkind IN ('r', 'p', 'S') AND NOT EXISTS (SELECT FROM pg_extension
    WHERE extname = 'audit_guard' AND c.oid = ANY (extconfig));
-- the parent of a stream has neither key nor index; its guard is always on
SELECT count(*) AS keys_and_indexes FROM pg_class c WHERE c.oid = 'audit.audit_log'::regclass
    AND (c.relhasindex OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid
    AND contype IN ('p', 'u', 'f', 'x')));
SELECT tgrelid::regclass AS stream, tgenabled, tgtype & 1 = 1 AS per_row, (tgtype & 8 > 0) AS on_delete,
    (tgtype & 16 > 0) AS on_update, (tgtype & 32 > 0) AS on_truncate
    FROM pg_trigger WHERE tgrelid IN ('audit.audit_log'::regclass, 'audit.guard_events'::regclass)
    ORDER BY tgrelid::regclass::text, 3 DESC;
SELECT conrelid::regclass AS references_us FROM pg_constraint WHERE contype = 'f'
    AND (conrelid::regclass::text LIKE 'audit.%' OR confrelid::regclass::text LIKE 'audit.%');
-- columns of the log, by name and type
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull FROM pg_attribute
    WHERE attrelid = 'audit.audit_log'::regclass AND attnum > 0 AND NOT attisdropped
    ORDER BY attname COLLATE "C";
SELECT count(*) AS not_c FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
    WHERE a.attrelid = 'audit.audit_log'::regclass AND c.collname <> 'C';
SELECT enumlabel FROM pg_enum WHERE enumtypid = 'audit.operation'::regtype ORDER BY enumsortorder;
SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
    WHERE attrelid = 'audit.request_context'::regclass AND attnum > 0 ORDER BY attnum;
SELECT string_agg(attname, ', ' ORDER BY attnum) AS changes FROM pg_attribute
    WHERE attrelid = 'audit.changes'::regclass AND attnum > 0;
SELECT string_agg(attname, ', ' ORDER BY attnum) AS tracked_tables FROM pg_attribute
    WHERE attrelid = 'audit.tracked_tables'::regclass AND attnum > 0;
-- views show what the caller may see, except for the list of tracked tables, which needs to see guard_events
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind = 'v'
    AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false);
-- everything belongs to audit_owner, but for the schema: a dump names its owner before it makes any role
SELECT pg_describe_object('pg_class'::regclass, oid, 0) AS not_owned FROM pg_class
    WHERE relnamespace = 'audit'::regnamespace AND relowner <> 'audit_owner'::regrole
UNION ALL SELECT pg_describe_object('pg_proc'::regclass, oid, 0) FROM pg_proc
    WHERE pronamespace = 'audit'::regnamespace AND proowner <> 'audit_owner'::regrole
UNION ALL SELECT pg_describe_object('pg_type'::regclass, oid, 0) FROM pg_type
    WHERE typnamespace = 'audit'::regnamespace AND typowner <> 'audit_owner'::regrole
UNION ALL SELECT pg_describe_object('pg_namespace'::regclass, oid, 0) FROM pg_namespace
    WHERE nspname = 'audit' AND nspowner <> current_user::regrole;
-- functions of the contract: arguments, result, volatility, rights, and who may call them
SELECT p.proname || '(' || replace(pg_get_function_identity_arguments(p.oid), 'audit.',
    '') || ')' AS function, pg_get_function_result(p.oid) AS result,
       p.provolatile AS vol, CASE WHEN p.prosecdef THEN 'D' ELSE 'I' END AS rights,
       (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public'), ',' ORDER BY 1)
       FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
           WHERE a.grantee <> p.proowner) AS who
    FROM pg_proc p WHERE p.pronamespace = 'audit'::regnamespace AND NOT p.proname ^@ '_'
    ORDER BY p.proname, 1;
-- a definer function pins its search_path, and so does every function that looks names up, but for the twin
-- of set_context, which would pay for it on every call and has only the rights of its caller
SELECT p.oid::regprocedure AS unpinned FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = 'audit'::regnamespace
    AND (p.prosecdef OR l.lanname IN ('sql', 'plpgsql')) AND p.prosqlbody IS NULL
    AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s ~ '^search_path=(""|pg_catalog, pg_temp)$')
    ORDER BY p.oid::regprocedure::text;
-- internal functions are nobody's to call unless they have to be
SELECT p.oid::regprocedure AS definer_for_all
    FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE p.pronamespace = 'audit'::regnamespace AND p.proname ^@ '_' AND p.prosecdef AND a.grantee = 0;
-- no table or sequence is granted to PUBLIC, none but to readers, and never to write
SELECT c.relname, coalesce(nullif(a.grantee, 0)::regrole::text, 'public') AS who, a.privilege_type
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.relnamespace = 'audit'::regnamespace AND a.grantee <> c.relowner ORDER BY 1, 2, 3;
SELECT coalesce(nullif(a.grantee, 0)::regrole::text, 'public') AS who, a.privilege_type
    FROM pg_namespace n, aclexplode(n.nspacl) a
    WHERE n.nspname = 'audit' AND a.grantee <> n.nspowner ORDER BY 1, 2;
-- roles: none logs in or is privileged, each says what it is for, and the owner has no members
SELECT rolname, rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication
    OR rolbypassrls AS privileged,
       shobj_description(oid, 'pg_authid') ^@ 'audit_guard:' AS commented
    FROM pg_roles WHERE rolname ~ '^audit_(owner|admin|writer|reader|reviewer|officer)$' ORDER BY 1;
SELECT member::regrole FROM pg_auth_members WHERE roleid = 'audit_owner'::regrole;
-- everything has a comment: functions, relations, their columns, types
SELECT p.oid::regprocedure AS no_comment FROM pg_proc p WHERE p.pronamespace = 'audit'::regnamespace
    AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY p.oid::regprocedure::text;
SELECT c.relname AS no_comment FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace
    AND c.relkind IN ('r', 'p', 'v', 'c')
    AND coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')) IS NULL
    AND NOT c.relispartition ORDER BY 1;
SELECT c.relname, a.attname AS no_comment FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'audit'::regnamespace
    AND c.relkind IN ('r', 'p', 'v', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition
    AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1, a.attnum;
SELECT t.typname AS no_comment FROM pg_type t WHERE t.typnamespace = 'audit'::regnamespace
    AND t.typtype IN ('e', 'd')
    AND obj_description(t.oid, 'pg_type') IS NULL ORDER BY 1;
SELECT obj_description('audit'::regnamespace, 'pg_namespace') IS NOT NULL AS schema_has_comment;
-- the version the library states is the one installed
SELECT extversion = audit.version() AS same_version FROM pg_extension WHERE extname = 'audit_guard';
