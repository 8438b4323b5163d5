\echo '-- The help desk forgets the WHERE:'
\echo
\connect - support
UPDATE packages SET status = 'lost', note = 'see ticket HD-88';
\connect - dana
\echo
\echo '-- Which transaction was that? The one with the most changes today:'
\echo
SELECT transaction_id, login_role, operation, table_name, count(*) AS rows
FROM audit.changes GROUP BY 1, 2, 3, 4 ORDER BY count(*) DESC LIMIT 1;
\set ECHO none
SELECT transaction_id AS mistake, min(logged_at) - interval '1 microsecond' AS before
FROM audit.changes GROUP BY 1 ORDER BY count(*) DESC LIMIT 1 \gset
\set ECHO queries
\echo '-- What would take it back? It is only printed; here are the first two statements:'
\echo
SELECT step, statement FROM audit.undo_sql(:mistake) ORDER BY step LIMIT 2;
\echo '-- Dana has read them, and runs them all (\\gexec) in one transaction of her own:'
\echo
BEGIN;
SELECT audit.set_context(actor_id => 'dana', context => '{"app": {"ticket": "HD-91"}}') \g /dev/null
\set ECHO none
\set shown 'SELECT statement FROM audit.undo_sql(' :mistake ') ORDER BY step \\gexec'
\echo :shown
\o /dev/null
SELECT statement FROM audit.undo_sql(:mistake) ORDER BY step \gexec
\set ECHO queries
\o
COMMIT;
\echo
\echo '-- Is everything as it was before? And is it still known what happened?'
\echo
SELECT count(*) AS different FROM packages p
FULL JOIN audit.table_as_of(NULL::packages, :'before') b USING (id)
WHERE (p.status, p.note) IS DISTINCT FROM (b.status, b.note);
SELECT login_role, actor_id, context #>> '{app,ticket}' AS ticket, old_values, new_values
FROM audit.record_history('packages', 7) ORDER BY logged_at DESC, id DESC LIMIT 2;
