//! Numbers that no row may have any more.

use crate::pg::ids;
use pgrx::prelude::*;

/// Has every session give up the ids that it took and has not used, when the transaction commits: a new
/// incarnation of the ledger counts from ids that nobody has.
#[pg_extern(sql = false)]
fn forget_ids() {
    ids::forget_everywhere();
}
