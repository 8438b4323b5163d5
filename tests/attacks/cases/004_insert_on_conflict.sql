-- Attack: INSERT of rows that are there, ON CONFLICT DO UPDATE
-- As: plain role, owner, superuser
-- Also refused with: 42501

INSERT INTO {leaf} ({columns}) SELECT {columns} FROM {leaf}
ON CONFLICT ({conflict}) DO UPDATE SET {text} = 'forged';
