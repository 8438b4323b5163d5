-- Attack: the sequence of a table's numbers put back
-- As: owner, superuser
-- On: plain, parted
-- Open without preload: nothing sees the sequence in a call of setval; rows stay, but inserts may collide
-- Open lockdown on: nothing sees the sequence in a call of setval; rows stay, but inserts may collide
-- Open lockdown strict: nothing sees the sequence in a call of setval; rows stay, but inserts may collide

SELECT setval('{sequence}', 1, false);
