//! Queries of ours that only read, under the active snapshot, also in a parallel worker: small ones, and those whose
//! rows are many, which are prepared once per process and read through a portal.

use super::tuple::Values;
use super::{errors, pinned};
use pgrx::prelude::*;
use std::ffi::{CStr, CString};

/// Rows that one call of the portal reads.
const FETCH: i64 = 2000;

/// A prepared query with bigint parameters; freed with its owner.
pub(crate) struct Query {
    plan: pg_sys::SPIPlanPtr,
    parameters: usize,
}

/// Runs `action` connected to SPI; an ERROR disconnects with the transaction.
pub(crate) fn connected<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: connected and finished in pairs.
    unsafe { pg_sys::SPI_connect() };
    let result = action();
    // SAFETY: as above.
    unsafe { pg_sys::SPI_finish() };
    result
}

/// A parameter of a query.
#[derive(Clone, Copy)]
pub(crate) enum Argument<'a> {
    Number(i64),
    Text(&'a str),
    Oid(pg_sys::Oid),
}

impl Argument<'_> {
    fn to_datum(self) -> (pg_sys::Oid, pg_sys::Datum) {
        match self {
            Self::Number(value) => (pg_sys::INT8OID, value.into()),
            Self::Text(text) => (pg_sys::TEXTOID, text.into_datum().unwrap_or(pg_sys::Datum::null())),
            Self::Oid(oid) => (pg_sys::OIDOID, oid.into()),
        }
    }
}

/// Runs a SELECT of ours and turns each row into a value.
pub(crate) fn select<T>(text: &str, arguments: &[Argument], mut read: impl FnMut(&Values) -> T) -> Vec<T> {
    let Ok(text) = CString::new(text) else { return Vec::new() };
    let (mut types, mut datums): (Vec<_>, Vec<_>) = arguments.iter().map(|one| one.to_datum()).unzip();
    connected(|| {
        let mut values = Values::default();
        // SAFETY: connected to SPI; as many types as values are given; an ERROR is raised for a query that fails.
        // The rows are there until SPI is left.
        unsafe {
            pg_sys::SPI_execute_with_args(
                text.as_ptr(),
                arguments.len() as i32,
                types.as_mut_ptr(),
                datums.as_mut_ptr(),
                std::ptr::null(),
                true,
                0,
            );
            let table = pg_sys::SPI_tuptable;
            (0..pg_sys::SPI_processed as usize)
                .map(|position| {
                    values.read_described(*(*table).vals.add(position), (*table).tupdesc);
                    read(&values)
                })
                .collect()
        }
    })
}

impl Query {
    /// Prepares a SELECT of ours; the plan serves whatever the parameters are.
    pub(crate) fn new(text: &str, parameters: usize) -> Self {
        let mut types = vec![pg_sys::INT8OID; parameters];
        let plan = connected(|| {
            pinned::with_search_path(|| {
                let Ok(text) = CString::new(text) else { return std::ptr::null_mut() };
                let options = pg_sys::CURSOR_OPT_GENERIC_PLAN | pg_sys::CURSOR_OPT_NO_SCROLL;
                // SAFETY: connected to SPI; the query is NUL-terminated and takes as many parameters as types
                // are given.
                unsafe {
                    let plan = pg_sys::SPI_prepare_cursor(
                        text.as_ptr(),
                        parameters as i32,
                        types.as_mut_ptr(),
                        options as i32,
                    );
                    if !plan.is_null() {
                        pg_sys::SPI_keepplan(plan);
                    }
                    plan
                }
            })
        });
        if plan.is_null() {
            errors::raise(
                PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
                "a query of the ledger cannot be prepared",
                None,
            );
        }
        Self { plan, parameters }
    }

    /// Gives the rows to `each`, one after the other, until there are no more or it says false. Each row is there
    /// only during its call.
    pub(crate) fn rows(&self, parameters: &[i64], mut each: impl FnMut(&Values) -> bool) {
        debug_assert_eq!(parameters.len(), self.parameters, "one value for each parameter");
        let mut arguments: Vec<pg_sys::Datum> = parameters.iter().map(|&value| value.into()).collect();
        connected(|| {
            let mut values = Values::default();
            // SAFETY: connected to SPI; the plan takes as many bigints as are given; rows are read before the
            // next ones are fetched, and what their conversion allocates is freed with them.
            unsafe {
                let portal = pg_sys::SPI_cursor_open(
                    std::ptr::null(),
                    self.plan,
                    arguments.as_mut_ptr(),
                    std::ptr::null(),
                    true,
                );
                let memory = pg_sys::AllocSetContextCreateExtended(
                    pg_sys::CurrentMemoryContext,
                    c"audit_guard rows".as_ptr(),
                    pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
                );
                let mut goes_on = true;
                while goes_on {
                    pg_sys::check_for_interrupts!();
                    pg_sys::SPI_cursor_fetch(portal, true, FETCH as _);
                    let table = pg_sys::SPI_tuptable;
                    let count = pg_sys::SPI_processed as usize;
                    for position in 0..count {
                        let caller = pg_sys::MemoryContextSwitchTo(memory);
                        values.read_described(*(*table).vals.add(position), (*table).tupdesc);
                        goes_on = each(&values);
                        pg_sys::MemoryContextSwitchTo(caller);
                        pg_sys::MemoryContextReset(memory);
                        if !goes_on {
                            break;
                        }
                    }
                    pg_sys::SPI_freetuptable(table);
                    goes_on &= count == FETCH as usize;
                }
                pg_sys::MemoryContextDelete(memory);
                pg_sys::SPI_cursor_close(portal);
            }
        });
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // SAFETY: kept by `new`, freed once.
        unsafe { pg_sys::SPI_freeplan(self.plan) };
    }
}

/// The label of an enum's value.
pub(crate) fn enum_label(value: pg_sys::Datum) -> Vec<u8> {
    // SAFETY: the output function of enums, called with a value of one; its result is copied.
    unsafe {
        CStr::from_ptr(pg_sys::OidOutputFunctionCall(pg_sys::F_ENUM_OUT.into(), value)).to_bytes().to_vec()
    }
}
