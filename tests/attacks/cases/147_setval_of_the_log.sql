-- Attack: the sequence of the log's numbers put back, then changes
-- As: owner, superuser
-- On: stream
-- Harmless: whoever writes the log looks at the newest row before using a number, so none is given twice

SELECT setval('{sequence}', 1, false);
\as clerk
INSERT INTO shop.orders (note) SELECT 'more' FROM generate_series(1, 50);
\reconnect
INSERT INTO shop.orders (note) SELECT 'more' FROM generate_series(1, 50);
