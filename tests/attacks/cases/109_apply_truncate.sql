-- Attack: TRUNCATE that arrives by logical replication
-- As: apply worker

TRUNCATE {leaf};
