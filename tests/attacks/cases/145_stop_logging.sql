-- Attack: the function that logs changes replaced by one that does nothing
-- As: superuser
-- On: stream

\as audit_owner
CREATE OR REPLACE FUNCTION audit.log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END
$$;
\as postgres
CREATE OR REPLACE FUNCTION audit.log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END
$$;
