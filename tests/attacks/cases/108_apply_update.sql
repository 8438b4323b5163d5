-- Attack: UPDATE that arrives by logical replication
-- As: apply worker

UPDATE {leaf} SET {text} = 'forged';
