//! Capture: a change of a row becomes a row of `audit.audit_log`.

mod context;
mod declared;
mod image;
mod key;
mod plan;
mod record_key;
mod set_context;
mod tracking_state;
mod trigger;

use crate::pg::events::TransactionListener;

/// What capture wants to hear about transactions.
pub(crate) const LISTENER: TransactionListener = TransactionListener {
    ended: declared::end_transaction,
    savepoint_aborted: declared::abort_savepoint,
    savepoint_released: declared::release_savepoint,
};
