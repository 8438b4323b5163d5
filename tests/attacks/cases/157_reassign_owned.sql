-- Attack: REASSIGN OWNED, which gives the table to another owner
-- As: superuser
-- Open without preload: the server tells event triggers nothing of REASSIGN OWNED

REASSIGN OWNED BY {owner} TO mallory;
