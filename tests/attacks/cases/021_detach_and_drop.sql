-- Attack: DETACH PARTITION, then DROP
-- As: owner, superuser
-- On: stream, parted
-- Travels: yes

ALTER TABLE {parent} DETACH PARTITION {leaf};
DROP TABLE {leaf};
