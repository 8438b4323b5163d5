//! What the ledger notes when a transaction ends: that there may be rows to seal, and which transaction this
//! session committed last.

use crate::pg::events::TransactionListener;
use crate::pg::unsealed;
use pgrx::prelude::*;
use std::cell::Cell;

thread_local! {
    static LAST: Cell<Option<u64>> = const { Cell::new(None) };
    static RESUMES: Cell<bool> = const { Cell::new(false) };
}

/// What the ledger wants to hear about transactions.
pub(crate) const LISTENER: TransactionListener = TransactionListener {
    ends: || {},
    committed,
    ended: || {
        RESUMES.set(false);
        unsealed::take_note();
    },
    savepoint_aborted: |_| {},
    savepoint_released: |_| {},
};

fn committed(transaction: Option<u64>) {
    if transaction.is_some() {
        LAST.set(transaction);
    }
    if unsealed::take_note() {
        unsealed::announce();
    }
    if RESUMES.take() {
        unsealed::resume();
    }
}

/// The last transaction that this session committed and that had a number, so that it may have written.
pub(super) fn last_committed() -> Option<u64> {
    LAST.get()
}

/// Has the sealer go on when the transaction commits, after what made it stop was put right.
#[pg_extern(sql = false)]
fn resume_sealing() {
    RESUMES.set(true);
}
