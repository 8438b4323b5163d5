-- Attack: rows inserted as old, as of the future, and with infinite times
-- As: plain role, owner, superuser
-- On: plain, parted

INSERT INTO {target} (note, created_at) VALUES ('forged', now() - interval '8 years');
INSERT INTO {target} (note, created_at) VALUES ('forged', now() + interval '8 years');
INSERT INTO {target} (note, created_at) VALUES ('forged', '-infinity');
INSERT INTO {target} (note, created_at) VALUES ('forged', 'infinity');
