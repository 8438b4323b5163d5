-- Attack: UPDATE, DELETE and TRUNCATE of a partition itself
-- As: plain role, owner, superuser
-- On: stream, parted
-- Travels: yes

UPDATE {leaf} SET {text} = 'forged';
DELETE FROM {leaf};
TRUNCATE {leaf};
