-- Attack: DELETE that arrives by logical replication
-- As: apply worker

DELETE FROM {leaf};
