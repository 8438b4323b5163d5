//! One stored row in a new form, written natively: no statement runs, so no trigger and no hook has a say in
//! it.
//!
//! Indexes, TOAST, the write-ahead log and savepoints are served as by an UPDATE; constraints are not
//! checked.

use super::relation::{self, Column};
use super::session;
use pgrx::prelude::*;

/// Where a row is stored.
#[derive(Clone, Copy)]
pub(crate) struct StoredAt {
    /// The table or partition itself.
    pub(crate) table: pg_sys::Oid,
    pub(crate) place: pg_sys::ItemPointerData,
}

/// Writes the row in a new form. The present transaction has locked it, so that nobody has changed it since
/// it was found. `change` is called for each column with its value and gives the new one; None is null.
pub(crate) fn rewrite(
    row: StoredAt,
    mut change: impl FnMut(&Column, Option<pg_sys::Datum>) -> Option<pg_sys::Datum>,
) {
    let lock = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    let mut place = row.place;
    // SAFETY: the relation is open all the time. The old row is pinned by its slot while the new one, which
    // points into it, is made; both slots have as many values as the relation has columns. What an ERROR
    // leaves open, the end of the transaction or savepoint closes.
    unsafe {
        let relation = pg_sys::table_open(row.table, lock);
        let old = pg_sys::table_slot_create(relation, std::ptr::null_mut());
        let any = &raw mut pg_sys::SnapshotAnyData;
        fetch(relation, &mut place, any, old);
        pg_sys::slot_getsomeattrs_int(old, (*(*relation).rd_att).natts);
        let new = pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &raw const pg_sys::TTSOpsVirtual);
        for (position, column) in relation::columns((*relation).rd_att).iter().enumerate() {
            let is_null = *(*old).tts_isnull.add(position);
            let value = (!is_null && !column.dropped).then(|| *(*old).tts_values.add(position));
            let value = if column.dropped { None } else { change(column, value) };
            *(*new).tts_isnull.add(position) = value.is_none();
            *(*new).tts_values.add(position) = value.unwrap_or(pg_sys::Datum::null());
        }
        pg_sys::ExecStoreVirtualTuple(new);
        update(relation, &mut place, new);
        pg_sys::ExecDropSingleTupleTableSlot(new);
        pg_sys::ExecDropSingleTupleTableSlot(old);
        pg_sys::table_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        pg_sys::CommandCounterIncrement();
    }
}

/// Reads the version of a row that is stored at a place.
///
/// # Safety
/// `relation` is open, and `slot` is one of its own.
unsafe fn fetch(
    relation: pg_sys::Relation,
    place: pg_sys::ItemPointer,
    snapshot: pg_sys::Snapshot,
    slot: *mut pg_sys::TupleTableSlot,
) {
    // SAFETY: the caller's promise; the call may raise an ERROR, so it crosses the guarded boundary.
    let is_there = unsafe {
        (*(*relation).rd_tableam).tuple_fetch_row_version.is_some_and(|fetch| {
            pg_sys::ffi::pg_guard_ffi_boundary(|| fetch(relation, place, snapshot, slot))
        })
    };
    if !is_there {
        super::errors::raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            "a row that is locked cannot be read",
            Some("SELECT * FROM audit.verify();"),
        );
    }
}

/// Puts a new version in the place of a row, and makes the index entries that it needs.
///
/// # Safety `relation` is open, `place` is that of a version that the present transaction may replace, and
/// `slot` holds a row of the relation.
unsafe fn update(relation: pg_sys::Relation, place: pg_sys::ItemPointer, slot: *mut pg_sys::TupleTableSlot) {
    #[cfg(feature = "pg15")]
    let mut wanted = false;
    #[cfg(not(feature = "pg15"))]
    let mut wanted = pg_sys::TU_UpdateIndexes::TU_None;
    // SAFETY: the caller's promise. The description of the relation is made as the executor makes it for a
    // relation that stands in no query.
    unsafe {
        pg_sys::simple_table_tuple_update(relation, place, slot, pg_sys::GetActiveSnapshot(), &mut wanted);
        #[cfg(feature = "pg15")]
        let (is_wanted, only_summarizing) = (wanted, false);
        #[cfg(not(feature = "pg15"))]
        let (is_wanted, only_summarizing) =
            (wanted != pg_sys::TU_UpdateIndexes::TU_None, wanted == pg_sys::TU_UpdateIndexes::TU_Summarizing);
        if !is_wanted {
            return;
        }
        let executor = pg_sys::CreateExecutorState();
        let target = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast::<pg_sys::ResultRelInfo>();
        (*target).type_ = pg_sys::NodeTag::T_ResultRelInfo;
        pg_sys::InitResultRelInfo(target, relation, 0, std::ptr::null_mut(), 0);
        pg_sys::ExecOpenIndices(target, false);
        let (conflict, arbiters) = (std::ptr::null_mut(), std::ptr::null_mut());
        #[cfg(feature = "pg15")]
        let _ = only_summarizing;
        #[cfg(feature = "pg15")]
        pg_sys::ExecInsertIndexTuples(target, slot, executor, false, false, conflict, arbiters);
        #[cfg(not(feature = "pg15"))]
        pg_sys::ExecInsertIndexTuples(
            target,
            slot,
            executor,
            false,
            false,
            conflict,
            arbiters,
            only_summarizing,
        );
        pg_sys::ExecCloseIndices(target);
        pg_sys::FreeExecutorState(executor);
    }
}

/// A jsonb object with null in the place of one member, which it has; in the memory of the call.
pub(crate) fn with_null_member(object: pg_sys::Datum, key: &[u8]) -> pg_sys::Datum {
    let path = vec![key].into_datum();
    let null = session::jsonb("null");
    // SAFETY: a function of the server, called as the server calls it: a jsonb, an array of text (a bytea and
    // a text have the same form), a jsonb, and whether to add what is missing.
    let result = unsafe {
        pgrx::direct_function_call_as_datum(
            pg_sys::jsonb_set,
            &[Some(object), path, Some(null.datum()), Some(pg_sys::Datum::from(false))],
        )
    };
    result.unwrap_or(object)
}
