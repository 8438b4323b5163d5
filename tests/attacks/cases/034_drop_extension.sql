-- Attack: DROP EXTENSION CASCADE
-- As: superuser
-- On: stream
-- Travels: yes

DROP EXTENSION audit_guard CASCADE;
