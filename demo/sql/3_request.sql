\echo 'This is all that the gateway sends for one request; no role of the app has a grant on the log:'
\echo
\connect - authenticator
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL request.jwt.claims = '{"sub": "a0000000-0000-4000-8000-000000000002", "role": "authenticated",
    "app_metadata": {"tenant_id": "lindenhof"}, "session_id": "5e551000-0000-4000-8000-000000000002"}';
SET LOCAL request.headers = '{"x-forwarded-for": "203.0.113.2", "user-agent": "DeskApp/2.0"}';
INSERT INTO packages (community_id, recipient_id, carrier)
VALUES ('lindenhof', 'a0000000-0000-4000-8000-000000000001', 'DHL') RETURNING id, carrier, status;
COMMIT;
