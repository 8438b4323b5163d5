-- Attack: the roles that read the log renamed and allowed to log in
-- As: superuser
-- On: stream
-- Open without preload: no trigger sees commands about roles

ALTER ROLE audit_reader RENAME TO audit_gone;
ALTER ROLE audit_owner LOGIN SUPERUSER;
\finally
ALTER ROLE audit_gone RENAME TO audit_reader;
ALTER ROLE audit_owner NOLOGIN NOSUPERUSER;
