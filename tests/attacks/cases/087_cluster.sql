-- Attack: CLUSTER and SET ACCESS METHOD, which move every row
-- As: owner, superuser
-- Harmless: rows stay what they are, wherever they lie

CLUSTER {leaf} USING {leaf_index_name};
ALTER TABLE {leaf} SET ACCESS METHOD heap;
