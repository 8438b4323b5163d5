-- Attack: SET TABLESPACE, and zero_damaged_pages
-- As: superuser
-- Harmless: rows stay what they are while their pages are sound

SET zero_damaged_pages = on;
ALTER TABLE {leaf} SET TABLESPACE pg_default;
SELECT count(*) FROM {target};
