-- Attack: DROP of a month of security events
-- As: owner, superuser
-- On: stream

DO $$
BEGIN
    EXECUTE format('DROP TABLE %s', (SELECT tableoid::regclass FROM audit.security_events LIMIT 1));
END
$$;
