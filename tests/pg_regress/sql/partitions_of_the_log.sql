-- The leaves of the log: made ahead, complete, ordinary tables.
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
\pset null ~
-- making leaves that exist already makes nothing
SELECT count(*) >= 0 AS made_what_was_missing FROM audit.maintain_partitions();
SELECT count(*) FROM audit.maintain_partitions();
SELECT count(*) FROM audit.maintain_partitions(0);
CREATE TEMP VIEW leaves AS
    SELECT c.oid, c.relname AS name, c.relowner, pg_get_expr(c.relpartbound, c.oid) AS bound
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit.audit_log'::regclass;
-- this month, 24 ahead, and the two edges
SELECT count(*) FROM leaves;
SELECT count(*) FILTER (WHERE name = 'audit_log_' || to_char(now() AT TIME ZONE 'UTC',
    'YYYY_MM')) AS this_month,
       count(*) FILTER (WHERE name = 'audit_log_' ||
           to_char(now() AT TIME ZONE 'UTC' + interval '24 months', 'YYYY_MM')) AS last_month,
       count(*) FILTER (WHERE name = 'audit_log_past' AND bound LIKE '%FROM (MINVALUE)%') AS past,
       count(*) FILTER (WHERE name = 'audit_log_future' AND bound LIKE '%TO (MAXVALUE)%') AS future,
       count(*) FILTER (WHERE bound = 'DEFAULT') AS default_leaves
    FROM leaves;
-- months begin at midnight UTC
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT bound = format('FOR VALUES FROM (''%s-01 00:00:00+00'') TO (''%s-01 00:00:00+00'')', to_char(now(),
    'YYYY-MM'),
                      to_char(date_trunc('month', now()) + interval '1 month', 'YYYY-MM')) AS as_it_should
    FROM leaves WHERE name = 'audit_log_' || to_char(now(), 'YYYY_MM');
-- leaves are no members of the extension, belong to audit_owner, and are granted to nobody
SELECT count(*) AS members FROM pg_depend d JOIN leaves l ON l.oid = d.objid
    AND d.classid = 'pg_class'::regclass WHERE d.deptype IN ('e', 'x');
SELECT DISTINCT relowner::regrole AS owner FROM leaves;
SELECT count(*) AS granted FROM leaves JOIN pg_class c USING (oid), aclexplode(c.relacl) a
    WHERE a.grantee <> c.relowner;
-- the parent has no key and no index; each leaf has the same four, by name
SELECT count(*) FROM pg_index WHERE indrelid = 'audit.audit_log'::regclass;
SELECT replace(i.relname, l.name, '<leaf>') AS index, replace(regexp_replace(pg_get_indexdef(i.oid),
    '^.* USING ', ''), l.name, '<leaf>') AS definition,
       x.indisprimary AS is_key, count(*) = (SELECT count(*) FROM leaves) AS on_all
    FROM leaves l JOIN pg_index x ON x.indrelid = l.oid JOIN pg_class i ON i.oid = x.indexrelid
    GROUP BY 1, 2, 3 ORDER BY 1;
-- the guard is on every leaf: the row trigger of the parent and a statement trigger, all ALWAYS
SELECT g.tgparentid <> 0 AS cloned, g.tgenabled, count(DISTINCT l.oid) = (SELECT count(*)
    FROM leaves) AS on_all
    FROM leaves l JOIN pg_trigger g ON g.tgrelid = l.oid GROUP BY 1, 2 ORDER BY 1, 2;
-- rows with a time before or after all months are accepted; rolled back here, for a log keeps what it gets
BEGIN;
SELECT audit.begin_restore('rows of other times');
INSERT INTO audit.audit_log (logged_at, transaction_id, operation, table_schema, table_name, actor_role,
    login_role, new_record)
    SELECT at, 1, 'INSERT', 's', 't', 'r', 'r', '{}'
    FROM unnest('{1999-12-31 23:59+00,2999-01-01 00:00+00,now}'::timestamptz[]) at;
SELECT tableoid::regclass FROM audit.audit_log WHERE table_schema = 's' AND tableoid::regclass::text !~ '\d'
    ORDER BY 1;
-- the future leaf has a row now: it becomes an ordinary wide leaf where it is, and months go on after it
SELECT count(*) > 0 AS made FROM audit.maintain_partitions(30);
SELECT tableoid::regclass::text ~ '^audit\.audit_log_\d{4}_\d{2}_to_2999_01$' AS renamed, (SELECT count(*)
    FROM audit.audit_log_future) AS future_rows
    FROM audit.audit_log WHERE table_schema = 's' AND logged_at > '2998-01-01';
SELECT pg_get_expr(relpartbound, oid) LIKE '%TO (''2999-02-01%' AS bound FROM pg_class
    WHERE relname ~ '_to_2999_01$' AND relkind = 'r';
SELECT count(*) FROM audit.maintain_partitions(30);
ROLLBACK;
-- more months on demand, beside open rows of the same transaction
CREATE TABLE public.leafy (id integer PRIMARY KEY);
SELECT audit.enable_tracking('public.leafy');
BEGIN;
INSERT INTO public.leafy VALUES (1);
SELECT count(*) FROM audit.maintain_partitions(26);
INSERT INTO public.leafy VALUES (2);
SELECT count(*) FROM audit.record_history('public.leafy', 2);
SELECT count(*) FROM leaves;
ROLLBACK;
SELECT count(*) FROM leaves;
-- a missing month is noticed, and the fix that health() names mends it
SELECT t.hot_leaf() AS leaf \gset
BEGIN;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
ALTER TABLE audit.audit_log DETACH PARTITION :leaf;
SELECT code FROM t.try('INSERT INTO public.leafy VALUES (3)');
SELECT ok FROM audit.health() WHERE check_name = 'partitions';
SELECT replace(fix, :'leaf', '<leaf>') LIKE
       'ALTER TABLE audit.audit_log ATTACH PARTITION <leaf> FOR VALUES FROM %' AS fix
    FROM audit.health() WHERE check_name = 'partitions';
ROLLBACK;
-- limits
SELECT * FROM t.try('SELECT audit.maintain_partitions(-1)');
SELECT * FROM t.try('SELECT audit.maintain_partitions(241)');
SELECT * FROM t.try('SELECT audit.maintain_partitions(NULL)');
SELECT audit.disable_tracking('public.leafy');
DROP TABLE public.leafy;
