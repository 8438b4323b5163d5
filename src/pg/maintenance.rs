//! Leaves made on first use, when a table is written before anybody called `maintain_partitions`.

use pgrx::prelude::*;

/// Calls `audit.maintain_partitions()` with the rights of the log's owner, whoever the user is.
pub(crate) fn make_leaves() {
    let Some(owner) = owner_of_log() else { return };
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: the server's own way of acting as another role; an ERROR in between restores the role with the
    // transaction.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(owner, context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
    }
    let made = Spi::run("SELECT audit.maintain_partitions()");
    // SAFETY: puts back what was read above.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    if let Err(error) = made {
        super::errors::raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            &format!("could not make partitions of audit.audit_log: {error}"),
            Some("SELECT audit.maintain_partitions();"),
        );
    }
}

fn owner_of_log() -> Option<pg_sys::Oid> {
    let schema = super::names::namespace(c"audit")?;
    let log = super::names::relation(schema, c"audit_log")?;
    // SAFETY: opens and closes one relation; its pg_class row is read while it is open.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let relation = pg_sys::table_open(log, lock);
        let owner = (*(*relation).rd_rel).relowner;
        pg_sys::table_close(relation, lock);
        Some(owner)
    }
}
