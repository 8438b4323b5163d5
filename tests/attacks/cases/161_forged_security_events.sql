-- Attack: security events written by hand
-- As: plain role, owner, superuser
-- On: stream
-- Also refused with: 42501

INSERT INTO audit.security_events (id, event_type, description, email, actor_role, login_role, transaction_id)
SELECT gen_random_uuid(), 'login_success', 'forged', email, actor_role, login_role, transaction_id
FROM audit.security_events;
