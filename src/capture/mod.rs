//! Capture: a change of a row becomes a row of `audit.audit_log`.

mod arguments;
mod context;
mod ddl;
mod declared;
mod image;
mod key;
mod plan;
mod record_key;
mod set_context;
mod tracking_state;
mod trigger;
mod truncate;

use crate::pg::events::TransactionListener;

pub(crate) use context::{Person, person, request_ip};
pub(crate) use declared::is_restoring;

/// What capture wants to hear about transactions.
pub(crate) const LISTENER: TransactionListener = TransactionListener {
    ends: || {},
    committed: |_| {},
    ended: || {
        declared::end_transaction();
        trigger::end_transaction();
        truncate::forget();
    },
    savepoint_aborted: |depth| {
        declared::abort_savepoint(depth);
        truncate::forget();
    },
    savepoint_released: declared::release_savepoint,
};
