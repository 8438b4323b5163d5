-- Attack: DROP FUNCTION CASCADE of the trigger function, taken out of the extension
-- As: superuser
-- Also refused with: 2BP01

ALTER EXTENSION audit_guard DROP FUNCTION {function}();
DROP FUNCTION {function}() CASCADE;
DELETE FROM {target};
