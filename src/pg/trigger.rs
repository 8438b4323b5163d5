//! A trigger call as the server makes it.

use super::names::{self, TableName};
use super::relation::{self, Column};
use super::tuple::Values;
use super::writer::Operation;
use pgrx::prelude::*;

// Asked for every row, and unable to raise an ERROR: called without the guard that pgrx puts around each
// call.
unsafe extern "C-unwind" {
    fn HeapTupleHeaderGetCmin(row: pg_sys::HeapTupleHeader) -> pg_sys::CommandId;
    fn HeapTupleHeaderGetCmax(row: pg_sys::HeapTupleHeader) -> pg_sys::CommandId;
    fn SPI_getbinval(
        row: pg_sys::HeapTuple,
        description: pg_sys::TupleDesc,
        number: core::ffi::c_int,
        is_null: *mut bool,
    ) -> pg_sys::Datum;
}

/// What fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    pub(crate) operation: Operation,
    pub(crate) after: bool,
    pub(crate) for_each_row: bool,
}

/// One call of a trigger function. Valid during the call only.
pub(crate) struct TriggerCall {
    data: *mut pg_sys::TriggerData,
}

impl TriggerCall {
    /// None when the function was not called by the trigger manager.
    ///
    /// # Safety
    /// `call` is what the server passed to a function.
    pub(crate) unsafe fn new(call: pg_sys::FunctionCallInfo) -> Option<Self> {
        // SAFETY: the caller's promise; the context's node tag tells what it is.
        unsafe {
            let context = (*call).context;
            (!context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData)
                .then(|| Self { data: context.cast() })
        }
    }

    pub(crate) fn event(&self) -> Event {
        // SAFETY: the call's data are valid while the call lasts.
        let bits = unsafe { (*self.data).tg_event };
        let operation = match bits & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Operation::Insert,
            pg_sys::TRIGGER_EVENT_UPDATE => Operation::Update,
            pg_sys::TRIGGER_EVENT_DELETE => Operation::Delete,
            _ => Operation::Truncate,
        };
        Event {
            operation,
            after: bits & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_AFTER,
            for_each_row: bits & pg_sys::TRIGGER_EVENT_ROW != 0,
        }
    }

    pub(super) fn relation(&self) -> pg_sys::Relation {
        // SAFETY: as in `event`.
        unsafe { (*self.data).tg_relation }
    }

    fn trigger(&self) -> &pg_sys::Trigger {
        // SAFETY: as in `event`.
        unsafe { &*(*self.data).tg_trigger }
    }

    pub(crate) fn trigger_oid(&self) -> pg_sys::Oid {
        self.trigger().tgoid
    }

    pub(crate) fn relation_oid(&self) -> pg_sys::Oid {
        // SAFETY: the relation of a trigger call is open.
        unsafe { (*self.relation()).rd_id }
    }

    /// Schema and name of the table that fired.
    pub(crate) fn relation_name(&self) -> TableName {
        // SAFETY: as in `relation_oid`.
        TableName::of(unsafe { &*self.relation() })
    }

    pub(crate) fn columns(&self) -> Vec<Column> {
        // SAFETY: as in `relation_oid`.
        unsafe { relation::columns((*self.relation()).rd_att) }
    }

    pub(crate) fn key_columns(&self) -> Vec<i16> {
        relation::key_columns(self.relation())
    }

    /// The table on which tracking was enabled: the top of the chain for a partition. A partition's TRUNCATE
    /// trigger is no clone, but the row trigger beside it is.
    pub(crate) fn tracked_table(&self) -> pg_sys::Oid {
        match self.row_trigger() {
            Some(trigger) if trigger.tgisclone => relation::tracked_table(trigger.tgoid, self.relation_oid()),
            _ => self.relation_oid(),
        }
    }

    /// The arguments of the row trigger: options stand nowhere else.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.row_trigger().map(arguments).unwrap_or_default()
    }

    /// The trigger itself, or for a statement trigger the row trigger of the same table that calls the same
    /// function.
    fn row_trigger(&self) -> Option<&pg_sys::Trigger> {
        let for_each_row = |trigger: &pg_sys::Trigger| trigger.tgtype & pg_sys::TRIGGER_TYPE_ROW as i16 != 0;
        if for_each_row(self.trigger()) {
            return Some(self.trigger());
        }
        // SAFETY: the open relation's trigger description lists `numtriggers` triggers.
        let triggers = unsafe {
            let description = (*self.relation()).trigdesc;
            if description.is_null() {
                return None;
            }
            std::slice::from_raw_parts((*description).triggers, (*description).numtriggers as usize)
        };
        triggers.iter().find(|trigger| trigger.tgfoid == self.trigger().tgfoid && for_each_row(trigger))
    }

    /// Whether the table's rows are kept by the server's own table access method.
    pub(crate) fn is_heap(&self) -> bool {
        // SAFETY: as in `relation_oid`.
        unsafe { (*(*self.relation()).rd_rel).relam == pg_sys::HEAP_TABLE_AM_OID }
    }

    /// The number of the command that made the change, for a row trigger on a heap table: commands of a
    /// transaction are numbered in the order in which they run.
    #[inline]
    pub(crate) fn command(&self) -> pg_sys::CommandId {
        // SAFETY: a row trigger has a row of its relation, an UPDATE also the row that it left; both are as
        // they stand in the table, and were made or removed by the present transaction.
        unsafe {
            let data = &*self.data;
            match data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
                pg_sys::TRIGGER_EVENT_DELETE => HeapTupleHeaderGetCmax((*data.tg_trigtuple).t_data),
                pg_sys::TRIGGER_EVENT_UPDATE => HeapTupleHeaderGetCmin((*data.tg_newtuple).t_data),
                _ => HeapTupleHeaderGetCmin((*data.tg_trigtuple).t_data),
            }
        }
    }

    /// One column of the row that is inserted or deleted; None when it is null.
    #[inline]
    pub(crate) fn column(&self, attnum: i16) -> Option<pg_sys::Datum> {
        let mut is_null = true;
        // SAFETY: a row trigger has a row of its relation, which has a column of this number.
        let value = unsafe {
            let row = (*self.data).tg_trigtuple;
            SPI_getbinval(row, (*self.relation()).rd_att, attnum.into(), &mut is_null)
        };
        (!is_null).then_some(value)
    }

    /// The row that is inserted or deleted as a value of the table's row type, in the memory of the call.
    pub(super) fn row_value(&self) -> pg_sys::Datum {
        // SAFETY: as in `column`.
        unsafe { pg_sys::heap_copy_tuple_as_datum((*self.data).tg_trigtuple, (*self.relation()).rd_att) }
    }

    /// The row type of the table that fired.
    pub(super) fn row_type(&self) -> pg_sys::Oid {
        // SAFETY: as in `relation_oid`.
        unsafe { (*(*self.relation()).rd_rel).reltype }
    }

    /// Takes apart the row that was inserted or deleted, or that an UPDATE replaced.
    pub(crate) fn read_row(&self, values: &mut Values) {
        // SAFETY: a row trigger has a row of its relation.
        unsafe { values.read((*self.data).tg_trigtuple, self.relation()) }
    }

    /// Takes apart the row that an UPDATE left.
    pub(crate) fn read_new_row(&self, values: &mut Values) {
        // SAFETY: a row trigger on UPDATE has both rows.
        unsafe { values.read((*self.data).tg_newtuple, self.relation()) }
    }
}

/// What the server gets back from a trigger function that let things be.
pub(crate) trait Call {
    fn result(&self) -> pg_sys::Datum {
        pg_sys::Datum::null()
    }
}

impl Call for TriggerCall {
    /// Before a row is inserted or deleted, null would mean: leave it out.
    #[inline]
    fn result(&self) -> pg_sys::Datum {
        // SAFETY: as in `event`; the row is the server's own.
        unsafe { (*self.data).tg_trigtuple.into() }
    }
}

fn arguments(trigger: &pg_sys::Trigger) -> Vec<String> {
    // SAFETY: a trigger has `tgnargs` NUL-terminated arguments.
    (0..trigger.tgnargs as usize).map(|index| unsafe { names::text(*trigger.tgargs.add(index)) }).collect()
}

/// Defines a function of the C language that the server calls as a trigger: `$read` takes what the server
/// passes and gives None when it was called in another way, `$body` is a safe function of what was read.
macro_rules! trigger_function {
    ($symbol:ident, $info:ident, $read:path, $body:path) => {
        /// Tells the server how to call the function.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        #[doc(hidden)]
        pub(crate) extern "C" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const RECORD: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        #[doc(hidden)]
        #[pgrx::pg_guard]
        pub(crate) unsafe extern "C-unwind" fn $symbol(
            call: pgrx::pg_sys::FunctionCallInfo,
        ) -> pgrx::pg_sys::Datum {
            // SAFETY: the server's own argument.
            match unsafe { $read(call) } {
                Some(trigger) => {
                    $body(&trigger);
                    $crate::pg::trigger::Call::result(&trigger)
                }
                None => $crate::pg::trigger::refuse_direct_call(),
            }
        }
    };
}
pub(crate) use trigger_function;

/// The ERROR for a trigger function that was called like any other function.
pub(crate) fn refuse_direct_call() -> ! {
    super::errors::raise(
        PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        "a trigger function can only be called by a trigger",
        Some("SELECT audit.enable_tracking('<table>'); attaches the trigger of a tracked table."),
    )
}
