-- Attack: CHECK (false) NOT VALID, so that nothing can be inserted
-- As: owner, superuser

ALTER TABLE {target} ADD CONSTRAINT nothing CHECK (false) NOT VALID;
