//! What sealing asks of its transaction.

use super::advisory::{self, Class};
use pgrx::prelude::*;

/// Why rows cannot be sealed in the present transaction, with a hint; None when they can.
///
/// A transaction that has a number stands in its own snapshot as finished, although it may still write: what it
/// wrote after the snapshot would never be sealed. A snapshot that was taken before the lock would be too old.
pub(crate) fn obstacle() -> Option<(PgSqlErrorCode, &'static str, &'static str)> {
    let alone = "Call it by itself: SELECT audit.seal();";
    // SAFETY: reads the state of the present transaction and of the server.
    unsafe {
        if pg_sys::RecoveryInProgress() {
            let hint = "Seal on the primary; a standby verifies what it has: SELECT * FROM audit.verify();";
            return Some((
                PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
                "a standby does not seal",
                hint,
            ));
        }
        if pg_sys::GetDatabaseEncoding() != pg_sys::pg_enc::PG_UTF8 as i32 {
            let hint = "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0;";
            let what = "rows of a database whose encoding is not UTF8 cannot be sealed";
            return Some((PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED, what, hint));
        }
        let state = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
        if has_number() {
            return Some((state, "a transaction that has written does not seal", alone));
        }
        if pg_sys::IsSubTransaction() {
            return Some((state, "a savepoint, or a block with an exception handler, does not seal", alone));
        }
        if pg_sys::XactIsoLevel > pg_sys::XACT_READ_COMMITTED as i32 {
            return Some((state, "sealing needs the isolation level READ COMMITTED", alone));
        }
    }
    None
}

/// Whether the transaction has a number, so that it may have written something.
pub(crate) fn has_number() -> bool {
    // SAFETY: reads the state of the present transaction.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// Makes sure that nobody else seals in this database until the transaction ends; false when somebody does and we
/// are not to wait for them.
pub(crate) fn lock(waits: bool) -> bool {
    advisory::lock(Class::Seal, 0, waits)
}

/// Makes the commit wait until it is safe on this machine: what is sealed must not be lost, because others may know
/// of it. Whoever writes the rows decides about their own commits.
pub(crate) fn commit_durably() {
    // SAFETY: reads a setting, and sets it to the end of the transaction, as SET LOCAL would.
    unsafe {
        if pg_sys::synchronous_commit == pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_OFF as i32 {
            pg_sys::set_config_option(
                c"synchronous_commit".as_ptr(),
                c"local".as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_LOCAL,
                true,
                0,
                false,
            );
        }
    }
}
