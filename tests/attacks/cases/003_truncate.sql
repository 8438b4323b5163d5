-- Attack: TRUNCATE
-- As: plain role, owner, superuser
-- Travels: yes

TRUNCATE {target};
