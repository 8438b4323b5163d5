-- A day around package 42, and what its recipient does besides. Each transaction is one request.
\connect - authenticator
\set community lindenhof

-- Omar, at the desk.
\set who 2
\set agent DeskApp/2.0
BEGIN; \i sql/as.sql
UPDATE packages SET status = 'announced' WHERE id = 42;
COMMIT;

-- Ada looks at it (an excluded column: no entry), misses it, and writes a note; then she thinks better of
-- another change and it is rolled back (no entry).
\set who 1
\set agent CommunityApp/4.2
BEGIN; \i sql/as.sql
UPDATE packages SET last_viewed_at = now() WHERE id = 42;
COMMIT;
BEGIN; \i sql/as.sql
UPDATE packages SET status = 'missing', note = 'not on the shelf' WHERE id = 42;
COMMIT;
BEGIN; \i sql/as.sql
UPDATE packages SET note = 'outrageous!' WHERE id = 42;
ROLLBACK;

-- She books her move and pays the deposit; the card changes.
BEGIN; \i sql/as.sql
INSERT INTO move_requests (community_id, resident_id, moves_on)
VALUES ('lindenhof', 'a0000000-0000-4000-8000-000000000001', '2027-03-01') RETURNING id AS move \gset
INSERT INTO move_deposits (move_request_id, instalment, community_id, amount, card_token)
VALUES (:move, 1, 'lindenhof', 150, 'tok_7f3a');
COMMIT;
BEGIN; \i sql/as.sql
UPDATE move_deposits SET card_token = 'tok_9c1d' WHERE (move_request_id, instalment) = (:move, 1);
COMMIT;

-- The help desk logs in to the database itself and says on whose behalf, and why.
\connect - support
BEGIN;
SELECT audit.set_context(actor_id => 4711, context => '{"app": {"ticket": "HD-88"}}') \g /dev/null
UPDATE packages SET status = 'lost', note = 'carrier asked' WHERE id = 42;
COMMIT;

-- The manager of the other community checks a provider's papers and account.
\connect - authenticator
\set community harbour
\set who 3
\set agent CommunityApp/4.2
BEGIN; \i sql/as.sql
INSERT INTO provider_documents (community_id, provider_id, kind, scanned_text)
VALUES ('harbour', 2, 'insurance', repeat('The insurer shall indemnify the insured party. ', 60))
RETURNING id AS document \gset
UPDATE provider_documents SET state = 'approved' WHERE id = :document;
UPDATE providers SET iban = 'DE02300209000106531065' WHERE id = 2;
COMMIT;

-- The administrator corrects a note as the owner of the table, then poses as the gateway and as Ada.
\connect - dana
SET ROLE app;
UPDATE packages SET note = 'found behind the boiler' WHERE id = 42;
RESET ROLE;
SET SESSION AUTHORIZATION authenticator;
\set community lindenhof
\set who 1
BEGIN; \i sql/as.sql
UPDATE packages SET status = 'received' WHERE id = 42;
COMMIT;

-- Ada fetches it, by a function that runs with the rights of its owner.
\connect - authenticator
BEGIN; \i sql/as.sql
SELECT hand_over(42) \g /dev/null
COMMIT;
