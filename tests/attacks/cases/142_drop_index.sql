-- Attack: the indexes of the log dropped
-- As: owner, superuser
-- On: stream

DROP INDEX {leaf}_record_idx;
