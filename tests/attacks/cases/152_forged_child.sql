-- Attack: a table of the attacker that inherits from the protected one, with forged rows in it
-- As: owner, superuser
-- On: plain
-- Also refused with: 42P01

CREATE TABLE evil.child () INHERITS ({target});
INSERT INTO evil.child (note, created_at) VALUES ('forged', now() - interval '2 years');
