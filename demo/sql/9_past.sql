\echo '-- Ada reported package 42 as missing. What did it look like then, and what does it look like now?'
\echo
\set ECHO none
SELECT logged_at AS reported FROM audit.record_history('packages', 42)
WHERE new_values ->> 'status' = 'missing' \gset
\set ECHO queries
SELECT audit.record_as_of('packages', 42, :'reported') AS "then";
SELECT audit.record_as_of('packages', 42, now()) AS "now";
\echo '-- And the whole table, at that moment and now (last_viewed_at is excluded, so it is not known):'
\echo
SELECT coalesce(past.status, present.status) AS status, past.count AS "then", present.count AS "now"
FROM (SELECT status, count(*)
      FROM audit.table_as_of(NULL::packages, :'reported') GROUP BY 1) past
FULL JOIN (SELECT status, count(*) FROM packages GROUP BY 1) present USING (status) ORDER BY 1;
