\echo '-- What the help desk sees. The address may be written in any way:'
\echo
SELECT blocked, reason, account_failures AS failures, remaining,
       retry_after_seconds BETWEEN 1 AND 900 AS "within 15 min"
FROM audit.check_login(' Ada@Lindenhof.example', '198.51.100.250');
\echo
\echo '-- Ada herself, from home, is not locked out; she has tries of her own:'
\echo
SELECT blocked, remaining FROM audit.check_login('ada@lindenhof.example', '203.0.113.1');
\echo
\echo '-- What the record keeps of it: the tries that were answered, and one event for all that were not.'
\echo
SELECT event_type, severity, outcome, count(*), count(DISTINCT ip_address) AS addresses
FROM audit.security_events GROUP BY 1, 2, 3 ORDER BY min(logged_at);
\echo
\echo '-- Ada is travelling and cannot get in either. She calls, and is recognised:'
\echo
SELECT audit.unlock_login('ada@lindenhof.example', reason => 'called in, HD-93') AS unlocked;
SELECT blocked FROM audit.check_login('ada@lindenhof.example', '198.51.100.250');
