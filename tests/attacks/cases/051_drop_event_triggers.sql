-- Attack: event triggers taken out of the extension and dropped, then DROP TABLE
-- As: superuser
-- Open without preload: no trigger fires for commands about event triggers

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT evtname FROM pg_event_trigger LOOP
        EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', name);
    END LOOP;
END
$$;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT evtname FROM pg_event_trigger LOOP
        EXECUTE format('ALTER EXTENSION audit_guard DROP EVENT TRIGGER %I', name);
        EXECUTE format('DROP EVENT TRIGGER %I', name);
    END LOOP;
END
$$;
DROP TABLE {leaf};
