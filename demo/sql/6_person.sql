SELECT to_char(c.logged_at, 'HH24:MI:SS.MS') AS at, c.operation, c.table_name, c.record_id,
       c.changed_fields, c.client_ip, c.context ->> 'user_agent' AS device
FROM audit.changes c JOIN users u ON u.id::text = c.actor_id
WHERE u.full_name = 'Ada Winter' ORDER BY c.logged_at, c.id;
