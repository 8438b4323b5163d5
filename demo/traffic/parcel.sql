-- pgbench: a parcel comes, is announced, is handed over; each by a request of its own, as resident :n.
\set n random(1, 20)
\set community_no :n % 2
\set carrier random(1, 3)
BEGIN;
SET LOCAL ROLE authenticated;
SELECT set_config('request.jwt.claims', format('{"sub": "a0000000-0000-4000-8000-000000000%s",
    "role": "authenticated", "app_metadata": {"tenant_id": "%s"}}', 100 + :n,
    (ARRAY['harbour', 'lindenhof'])[1 + :community_no]), true),
    set_config('request.headers', format('{"x-forwarded-for": "198.51.100.%s"}', :n), true);
INSERT INTO packages (community_id, recipient_id, carrier)
VALUES (my_community(), format('a0000000-0000-4000-8000-000000000%s', 100 + :n)::uuid,
        (ARRAY['DHL', 'UPS', 'Post'])[:carrier]) RETURNING id AS package \gset
COMMIT;
BEGIN;
SET LOCAL ROLE authenticated;
SELECT set_config('request.jwt.claims', format('{"sub": "a0000000-0000-4000-8000-000000000%s",
    "role": "authenticated", "app_metadata": {"tenant_id": "%s"}}', 100 + :n,
    (ARRAY['harbour', 'lindenhof'])[1 + :community_no]), true);
UPDATE packages SET status = 'handed over' WHERE id = :package;
COMMIT;
