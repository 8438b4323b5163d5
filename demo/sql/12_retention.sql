\echo '-- In time, what is expired and not held leaves, and a certificate stays:'
\echo
SELECT relation, rows_expired, rows_held, action FROM audit.retention_plan() WHERE relation ~ 'consents';
SELECT relation, action, more FROM audit.apply_retention() WHERE relation ~ 'consents';
SELECT id, resident FROM consents ORDER BY id;
SELECT kind, object, detail ->> 'rows' AS rows, login_role
FROM audit.guard_events WHERE kind = 'rows_expired';
\echo
\echo '-- And what was tried against it is known, although each attempt was rolled back:'
\echo
SELECT attempted_at::time(0) AS at, login_role, command, object, layer
FROM audit.denied_attempts ORDER BY id DESC LIMIT 7;
