-- Attack: TRUNCATE of several tables, the guarded one among them
-- As: owner, superuser

CREATE TABLE evil.bait (id int);
TRUNCATE evil.bait, {target};
