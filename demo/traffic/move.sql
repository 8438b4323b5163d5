-- pgbench: resident :n asks for a move, pays a deposit, and sometimes calls it off.
\set n random(1, 20)
\set community_no :n % 2
\set days random(10, 200)
\set second_thoughts random(1, 3)
BEGIN;
SET LOCAL ROLE authenticated;
SELECT set_config('request.jwt.claims', format('{"sub": "a0000000-0000-4000-8000-000000000%s",
    "role": "authenticated", "app_metadata": {"tenant_id": "%s"}}', 100 + :n,
    (ARRAY['harbour', 'lindenhof'])[1 + :community_no]), true);
INSERT INTO move_requests (community_id, resident_id, moves_on)
VALUES (my_community(), format('a0000000-0000-4000-8000-000000000%s', 100 + :n)::uuid, current_date + :days)
RETURNING id AS move \gset
INSERT INTO move_deposits (move_request_id, instalment, community_id, amount, card_token)
VALUES (:move, 1, my_community(), 150, md5(:move::text));
\if :second_thoughts = 1
UPDATE move_deposits SET state = 'returned' WHERE move_request_id = :move;
DELETE FROM move_deposits WHERE move_request_id = :move;
DELETE FROM move_requests WHERE id = :move;
\endif
COMMIT;
