-- Attack: pg_write_all_data given to a plain role
-- As: superuser
-- Also refused with: 42501

GRANT pg_write_all_data, pg_read_all_data TO mallory;
\as mallory
UPDATE {leaf} SET {text} = 'forged';
DELETE FROM {target};
\finally
REVOKE pg_write_all_data, pg_read_all_data FROM mallory;
