//! Reads all rows of a table, for a TRUNCATE that is to be logged row by row.

use super::trigger::TriggerCall;
use super::tuple::Values;
use pgrx::prelude::*;

/// Gives every row of the triggering table to `each`: every row that the TRUNCATE will remove, also one that
/// was committed after the present transaction's snapshot was taken.
pub(crate) fn every_row(call: &TriggerCall, values: &mut Values, mut each: impl FnMut(&Values)) {
    let relation = call.relation();
    // SAFETY: the relation of a trigger call is open. A partitioned table has no rows of its own.
    if unsafe { (*(*relation).rd_rel).relkind } != pg_sys::RELKIND_RELATION as core::ffi::c_char {
        return;
    }
    // SAFETY: the relation is open and locked by the TRUNCATE; each row is copied or used before the next is
    // read, and what its conversion allocates is freed with it. An ERROR ends scan, snapshot and memory with
    // the transaction.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        pg_sys::PushActiveSnapshot(snapshot);
        let memory = pg_sys::AllocSetContextCreateExtended(
            pg_sys::CurrentMemoryContext,
            c"audit_guard truncated row".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let scan = pg_sys::systable_beginscan(
            relation,
            pg_sys::InvalidOid,
            false,
            snapshot,
            0,
            std::ptr::null_mut(),
        );
        loop {
            let row = pg_sys::systable_getnext(scan);
            if row.is_null() {
                break;
            }
            let caller = pg_sys::MemoryContextSwitchTo(memory);
            values.read(row, relation);
            each(values);
            pg_sys::MemoryContextSwitchTo(caller);
            pg_sys::MemoryContextReset(memory);
        }
        pg_sys::systable_endscan(scan);
        pg_sys::MemoryContextDelete(memory);
        pg_sys::PopActiveSnapshot();
        pg_sys::UnregisterSnapshot(snapshot);
    }
}
