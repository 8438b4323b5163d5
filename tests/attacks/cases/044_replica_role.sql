-- Attack: session_replication_role = replica, then UPDATE, DELETE, TRUNCATE
-- As: superuser
-- Travels: yes

SET session_replication_role = replica;
UPDATE {target} SET {text} = 'forged';
DELETE FROM {leaf};
TRUNCATE {target};
