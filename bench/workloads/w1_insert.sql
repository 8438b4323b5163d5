\set k random(1, 1000000)
INSERT INTO orders (ref, customer, status, note, amount, meta)
VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'Customer number ' || :k, 'new',
        'note of a single order lorem ipsum lorem ipsum lorem ipsum lorem', :k / 100.0,
        '{"source": "web", "lines": 3, "coupon": "0cc175b9c0f1b6a831c399e269772661", "gift": false}');
