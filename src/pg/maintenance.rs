//! What a backend does before its first row: leaves made on first use, when nobody called `maintain_partitions`, and
//! a look at the newest row that is there.

use super::acting;
use pgrx::prelude::*;

/// Calls `audit.maintain_partitions()` with the rights of the log's owner, whoever the user is.
pub(crate) fn make_leaves() {
    let Some(owner) = owner_of_log() else { return };
    let flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;
    let made = acting::as_role(owner, flags, || Spi::run("SELECT audit.maintain_partitions()"));
    if let Err(error) = made {
        super::errors::raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            &format!("could not make partitions of audit.audit_log: {error}"),
            Some("SELECT audit.maintain_partitions();"),
        );
    }
}

/// The id of the newest row of a leaf, by its primary key; read once in the life of a backend.
pub(crate) fn newest_id(leaf: pg_sys::Oid) -> Option<i64> {
    let query = format!(
        "SELECT id FROM {} ORDER BY transaction_id DESC, id DESC LIMIT 1",
        super::names::quoted(leaf)
    );
    acting::as_owner_of(leaf, || Spi::get_one(&query)).ok().flatten()
}

fn owner_of_log() -> Option<pg_sys::Oid> {
    let schema = super::names::namespace(c"audit")?;
    let log = super::names::relation(schema, c"audit_log")?;
    super::names::owner(log)
}
