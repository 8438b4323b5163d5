-- Attack: UPDATE of every row
-- As: plain role, owner, superuser
-- Travels: yes

UPDATE {target} SET {text} = 'forged';
