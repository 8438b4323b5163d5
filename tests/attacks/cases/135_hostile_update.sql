-- Attack: ALTER EXTENSION UPDATE with a script of the attacker's
-- As: superuser
-- Since: 18
-- Open without preload: a superuser may load extensions from anywhere
-- Also refused with: 55000

\run mkdir -p evil/extension && printf 'default_version = 9.9\n' >evil/extension/audit_guard.control
\run printf 'ALTER TABLE {target} DISABLE TRIGGER ALL; ALTER TABLE {leaf} DISABLE TRIGGER ALL; \
DELETE FROM {leaf};' >evil/extension/audit_guard--0.1.0--9.9.sql
SET extension_control_path = '{folder}/evil:$system';
ALTER EXTENSION audit_guard UPDATE TO '9.9';
