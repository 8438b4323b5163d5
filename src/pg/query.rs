//! Queries of ours that only read, under the active snapshot, also in a parallel worker: small ones, and those whose
//! rows are many, which are prepared once per process and whose rows are taken from the executor one by one.

use super::tuple::Values;
use super::{errors, pinned};
use pgrx::prelude::*;
use std::ffi::{CStr, CString};

/// A prepared query with bigint parameters; freed with its owner.
pub(crate) struct Query {
    plan: pg_sys::SPIPlanPtr,
    parameters: usize,
    is_ordered: bool,
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
    // Operators and functions are those of the server, whatever the session's search_path says.
    let mut run = || {
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
    };
    connected(|| pinned::with_search_path(&mut run))
}

impl Query {
    /// Prepares a SELECT of ours; the plan serves whatever the parameters are. One that is ordered reads an index in
    /// that order.
    pub(crate) fn new(text: &str, parameters: usize, is_ordered: bool) -> Self {
        let mut types = vec![pg_sys::INT8OID; parameters];
        let plan = connected(|| {
            pinned::with_search_path(|| {
                let Ok(text) = CString::new(text) else { return std::ptr::null_mut() };
                let options = pg_sys::CURSOR_OPT_GENERIC_PLAN;
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
        Self { plan, parameters, is_ordered }
    }

    /// Gives the rows to `each`, one after the other, until there are no more or it says false. Each row is there
    /// only during its call.
    pub(crate) fn rows(&self, parameters: &[i64], mut each: impl FnMut(&Values) -> bool) {
        debug_assert_eq!(parameters.len(), self.parameters, "one value for each parameter");
        let mut run = || self.run(parameters, &mut each);
        connected(|| if self.is_ordered { pinned::with_index_order(run) } else { run() });
    }

    fn run(&self, parameters: &[i64], each: &mut dyn FnMut(&Values) -> bool) {
        // SAFETY: connected to SPI; the plan takes as many bigints as are given; the receiver lives on this stack
        // until the query has ended.
        unsafe {
            let memory = pg_sys::AllocSetContextCreateExtended(
                pg_sys::CurrentMemoryContext,
                c"audit_guard row".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            let mut receiver = Receiver {
                server: pg_sys::DestReceiver {
                    receiveSlot: Some(receive),
                    rStartup: Some(start),
                    rShutdown: Some(finish),
                    rDestroy: Some(finish),
                    mydest: pg_sys::CommandDest::DestNone,
                },
                values: Values::default(),
                memory,
                each,
            };
            let list = pg_sys::makeParamList(parameters.len() as i32);
            for (position, &value) in parameters.iter().enumerate() {
                let parameter = (*list).params.as_mut_ptr().add(position);
                *parameter = pg_sys::ParamExternData {
                    value: value.into(),
                    isnull: false,
                    pflags: pg_sys::PARAM_FLAG_CONST as u16,
                    ptype: pg_sys::INT8OID,
                };
            }
            let options = pg_sys::SPIExecuteOptions {
                params: list,
                read_only: true,
                dest: (&raw mut receiver).cast(),
                ..Default::default()
            };
            pg_sys::SPI_execute_plan_extended(self.plan, &options);
            pg_sys::MemoryContextDelete(memory);
        }
    }
}

/// Takes the rows of a query as the executor makes them, without a copy.
#[repr(C)]
struct Receiver<'a> {
    server: pg_sys::DestReceiver,
    values: Values,
    memory: pg_sys::MemoryContext,
    each: &'a mut dyn FnMut(&Values) -> bool,
}

#[pg_guard]
unsafe extern "C-unwind" fn receive(
    slot: *mut pg_sys::TupleTableSlot,
    receiver: *mut pg_sys::DestReceiver,
) -> bool {
    // SAFETY: the executor calls with the receiver that it was given, which `run` made; what the conversion of a row
    // allocates is freed with it.
    unsafe {
        let receiver = &mut *receiver.cast::<Receiver>();
        let caller = pg_sys::MemoryContextSwitchTo(receiver.memory);
        receiver.values.take(slot);
        let goes_on = (receiver.each)(&receiver.values);
        pg_sys::MemoryContextSwitchTo(caller);
        pg_sys::MemoryContextReset(receiver.memory);
        goes_on
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn start(
    _receiver: *mut pg_sys::DestReceiver,
    _operation: i32,
    _row: pg_sys::TupleDesc,
) {
}

#[pg_guard]
unsafe extern "C-unwind" fn finish(_receiver: *mut pg_sys::DestReceiver) {}

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
