SELECT coalesce(u.full_name, h.actor_id) AS actor, h.actor_source AS source, h.login_role, h.actor_role,
       h.context ->> 'session_role' AS session_role, h.context ->> 'effective_role' AS effective,
       h.context -> 'app' ->> 'ticket' AS ticket, h.new_values ->> 'status' AS status
FROM audit.record_history('packages', 42) h LEFT JOIN users u ON u.id::text = h.actor_id
ORDER BY h.logged_at, h.id;
