-- Attack: a session taken over, prolonged and removed by hand
-- As: plain role, superuser
-- Open without preload: a superuser may write what is no evidence; the log of changes shows it
-- On: stream

UPDATE audit.user_sessions SET token_hash = sha256('mine'), expires_at = now() + interval '9 years';
DELETE FROM audit.user_sessions;
