-- Attack: rows written into the log by hand
-- As: plain role, owner, superuser
-- On: stream
-- Also refused with: 42501

INSERT INTO {target} (transaction_id, operation, table_schema, table_name, record_id, new_record, actor_role,
                      login_role)
SELECT transaction_id, 'INSERT', table_schema, table_name, 'forged ' || id, '{}', actor_role, login_role
FROM {target};
INSERT INTO {leaf} (transaction_id, operation, table_schema, table_name, record_id, new_record, actor_role,
                    login_role)
SELECT transaction_id, 'INSERT', table_schema, table_name, 'forged ' || id, '{}', actor_role, login_role
FROM {leaf};
