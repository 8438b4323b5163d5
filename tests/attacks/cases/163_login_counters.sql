-- Attack: counters and tries of logins changed by hand, by somebody who is blocked
-- As: plain role, superuser
-- Open without preload: a superuser may write what is no evidence; rebuild_login_counters() makes it again
-- On: stream

UPDATE audit.login_counters SET failures = NULL, reset_at = now();
DELETE FROM audit.login_networks;
DELETE FROM audit.login_attempts;
TRUNCATE audit.login_counters;
INSERT INTO audit.login_allowlist (network, reason, added_by) VALUES ('0.0.0.0/0', 'forged', 'nobody');
