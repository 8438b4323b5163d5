-- Attack: security events written by hand
-- As: plain role, owner, superuser
-- On: stream
-- Also refused with: 42501

INSERT INTO audit.security_events (event_type, description, email, actor_role, login_role, transaction_id)
SELECT 'login_success', 'forged', email, actor_role, login_role, transaction_id FROM audit.security_events;
