//! A condition on rows of a table, given as SQL, that is asked for one row at a time.

use super::trigger::TriggerCall;
use super::{call, encoding, errors, pinned};
use pgrx::prelude::*;

/// A prepared condition; freed with its owner.
pub(crate) struct RowFilter(pg_sys::SPIPlanPtr);

impl RowFilter {
    /// Prepares `condition`, an expression over the columns of `r`, for rows of the table that fired. Operators
    /// and functions are those of the server, whatever the session's search_path says.
    pub(crate) fn new(trigger: &TriggerCall, condition: &[u8]) -> Self {
        let condition = encoding::to_utf8(condition);
        let query = format!("SELECT FROM (SELECT ($1).*) AS r WHERE {condition}");
        let Ok(query) = std::ffi::CString::new(encoding::from_utf8(&query)) else { refuse() };
        let mut types = [trigger.row_type()];
        let plan = connected(|| {
            pinned::with_search_path(|| {
                // SAFETY: connected to SPI; the query is NUL-terminated and takes one value of the row's type.
                unsafe {
                    let plan = pg_sys::SPI_prepare(query.as_ptr(), 1, types.as_mut_ptr());
                    if !plan.is_null() {
                        pg_sys::SPI_keepplan(plan);
                    }
                    plan
                }
            })
        });
        if plan.is_null() {
            refuse();
        }
        Self(plan)
    }

    /// Whether the row that fired meets the condition.
    pub(crate) fn accepts(&self, trigger: &TriggerCall) -> bool {
        let mut values = [trigger.row_value()];
        // SAFETY: connected to SPI; the plan takes one value of the row's type, which is not null.
        connected(|| unsafe {
            pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), std::ptr::null(), true, 1);
            pg_sys::SPI_processed > 0
        })
    }
}

impl Drop for RowFilter {
    fn drop(&mut self) {
        // SAFETY: kept by `new`, freed once.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}

/// Runs `action` connected to SPI; an ERROR disconnects with the transaction.
fn connected<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: connected and finished in pairs.
    unsafe { pg_sys::SPI_connect() };
    let result = action();
    // SAFETY: as above.
    unsafe { pg_sys::SPI_finish() };
    result
}

fn refuse() -> ! {
    errors::raise(
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        "the holds on a table cannot be read",
        Some(call::UPDATE_HINT),
    )
}
