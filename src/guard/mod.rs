//! Guard: nobody changes or removes a row of a protected table by a statement, superusers included.
//!
//! Triggers refuse what touches rows, an event trigger and the hooks of the preloaded library refuse what would
//! take the triggers away, and rows that have stood their time leave by `audit.apply_retention()`.

mod append_only;
mod certificate;
pub(crate) mod denial;
mod holds;
mod lockdown;
mod maintenance;
mod policy;
mod recorder;
mod removal;
mod retention;
mod shield;

pub(crate) use lockdown::install as install_lockdown;

use crate::pg::events::TransactionListener;

/// What the guard wants to hear about transactions.
pub(crate) const LISTENER: TransactionListener = TransactionListener {
    ends: certificate::write_all,
    committed: |_| {},
    ended: || {
        certificate::forget_all();
        holds::forget();
        maintenance::end_transaction();
    },
    savepoint_aborted: |depth| {
        certificate::abort_savepoint(depth);
        holds::forget();
    },
    savepoint_released: certificate::release_savepoint,
};
