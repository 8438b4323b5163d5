-- Attack: DELETE of every row
-- As: plain role, owner, superuser
-- Travels: yes

DELETE FROM {target};
