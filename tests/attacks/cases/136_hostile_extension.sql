-- Attack: CREATE EXTENSION of another one whose script disables the triggers
-- As: superuser
-- Since: 18

\run mkdir -p evil/extension && printf 'default_version = 1\n' >evil/extension/bait.control
\run printf 'ALTER TABLE {target} DISABLE TRIGGER ALL; ALTER TABLE {leaf} DISABLE TRIGGER ALL; \
DELETE FROM {leaf};' >evil/extension/bait--1.sql
SET extension_control_path = '{folder}/evil:$system';
CREATE EXTENSION bait SCHEMA evil;
