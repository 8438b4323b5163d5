-- Takes away what belongs to the cluster and would outlive this database.
SET client_min_messages = warning;
DROP SCHEMA t CASCADE;
ALTER EVENT TRIGGER audit_guard_shield DISABLE;
DROP EXTENSION audit_guard;
REVOKE audit_admin FROM regress_owner, regress_admin;
REVOKE audit_reader FROM regress_reader;
DROP ROLE regress_app, regress_owner, regress_admin, regress_reader;
