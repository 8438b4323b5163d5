-- Attack: UPDATE and DELETE at the position of a cursor
-- As: plain role, superuser
-- Also refused with: 34000

BEGIN;
DECLARE here CURSOR FOR SELECT * FROM {leaf} WHERE {time} > '2024-01-01' FOR UPDATE;
FETCH 1 FROM here;
UPDATE {leaf} SET {text} = 'forged' WHERE CURRENT OF here;
COMMIT;
BEGIN;
DECLARE here CURSOR FOR SELECT * FROM {leaf} WHERE {time} > '2024-01-01' FOR UPDATE;
FETCH 1 FROM here;
DELETE FROM {leaf} WHERE CURRENT OF here;
COMMIT;
