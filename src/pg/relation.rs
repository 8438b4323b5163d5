//! What capture must know of a user's table: its columns, its key, the name it is logged under.

use super::names::{self, TableName};
use super::trigger_row;
use pgrx::PgTupleDesc;
use pgrx::prelude::*;

/// A column of a relation, dropped ones included, so that positions are those of the row.
#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) attnum: i16,
    /// As UTF-8, for comparing with names in options.
    pub(crate) name: String,
    /// As stored, in the database's encoding.
    pub(crate) name_bytes: Vec<u8>,
    pub(crate) type_oid: pg_sys::Oid,
    pub(crate) type_modifier: i32,
    pub(crate) dropped: bool,
    pub(crate) not_null: bool,
    /// Computed when read (PostgreSQL 18): the row holds no value.
    pub(crate) is_virtual: bool,
    pub(crate) length: i16,
    pub(crate) by_value: bool,
}

/// The columns of a row type.
///
/// # Safety
/// `description` points to a valid row description.
pub(crate) unsafe fn columns(description: pg_sys::TupleDesc) -> Vec<Column> {
    // SAFETY: the caller's promise; the copy below holds nothing of the server's.
    let description = unsafe { PgTupleDesc::from_pg_unchecked(description) };
    // SAFETY: a column's name is NUL-terminated.
    description
        .iter()
        .map(|attribute| unsafe {
            Column {
                attnum: attribute.attnum,
                name: names::text(attribute.attname.data.as_ptr()),
                name_bytes: names::bytes(attribute.attname.data.as_ptr()),
                type_oid: attribute.atttypid,
                type_modifier: attribute.atttypmod,
                dropped: attribute.is_dropped(),
                not_null: attribute.attnotnull,
                is_virtual: attribute.attgenerated == b'v' as core::ffi::c_char,
                length: attribute.attlen,
                by_value: attribute.attbyval,
            }
        })
        .collect()
}

/// The columns of the primary key in its order, else those of the index that is the replica identity, else
/// none.
pub(crate) fn key_columns(relation: pg_sys::Relation) -> Vec<i16> {
    // SAFETY: the relation is open; each index description is read from a catalogue cache entry that is
    // released after the read.
    unsafe {
        let indexes = pg_sys::RelationGetIndexList(relation);
        let mut identity = Vec::new();
        let mut primary = Vec::new();
        for position in 0..indexes.as_ref().map_or(0, |list| list.length) {
            let oid = names::list_oid(indexes, position);
            let entry = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::INDEXRELID as i32, oid.into());
            if entry.is_null() {
                continue;
            }
            let form = pg_sys::GETSTRUCT(entry).cast::<pg_sys::FormData_pg_index>();
            let columns = || {
                let first = (&raw const (*form).indkey.values).cast::<i16>();
                std::slice::from_raw_parts(first, (*form).indnkeyatts as usize).to_vec()
            };
            if (*form).indisprimary {
                primary = columns();
            } else if (*form).indisreplident && (*form).indisvalid {
                identity = columns();
            }
            pg_sys::ReleaseSysCache(entry);
        }
        pg_sys::list_free(indexes);
        let key = if primary.is_empty() { identity } else { primary };
        if key.iter().all(|&column| column > 0) { key } else { Vec::new() }
    }
}

/// The table on which the trigger `oid` was made: for a partition's clone, the top of the chain of parents.
pub(crate) fn tracked_table(trigger: pg_sys::Oid, its_table: pg_sys::Oid) -> pg_sys::Oid {
    let mut table = its_table;
    let mut next = Some(trigger);
    while let Some((found, parent)) = next.and_then(trigger_row::table_and_parent) {
        table = found;
        next = parent;
    }
    table
}

unsafe extern "C-unwind" {
    fn find_all_inheritors(
        parent: pg_sys::Oid,
        lock: pg_sys::LOCKMODE,
        parent_counts: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::List;
}

/// The partitions of a table at any depth, without the table itself.
pub(crate) fn partitions(table: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: a catalogue look-up that takes no lock and may raise an ERROR, hence the guard; the list of
    // OIDs is read before anything else can free it.
    unsafe {
        let lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let found =
            pg_sys::ffi::pg_guard_ffi_boundary(|| find_all_inheritors(table, lock, std::ptr::null_mut()));
        let count = found.as_ref().map_or(0, |list| list.length);
        (0..count).map(|at| names::list_oid(found, at)).filter(|&oid| oid != table).collect()
    }
}

/// Runs `look` with a relation while it is open; None when it no longer exists.
fn opened<T>(relation: pg_sys::Oid, look: impl FnOnce(pg_sys::Relation) -> T) -> Option<T> {
    // SAFETY: the relation stays open while it is looked at; an ERROR closes it with the transaction.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let relation = pg_sys::try_relation_open(relation, lock);
        if relation.is_null() {
            return None;
        }
        let result = look(relation);
        pg_sys::relation_close(relation, lock);
        Some(result)
    }
}

/// Whether an open relation is of a kind, as in pg_class.
fn is_kind(relation: pg_sys::Relation, kind: u8) -> bool {
    // SAFETY: an open relation has its row of pg_class.
    unsafe { (*(*relation).rd_rel).relkind as u8 == kind }
}

/// Whether a table has never held a row since it was made or emptied; false for what has no rows of its own.
pub(crate) fn is_empty(table: pg_sys::Oid) -> bool {
    let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
    // SAFETY: the length of an open relation that has rows.
    let has_no_block = |table| unsafe { pg_sys::RelationGetNumberOfBlocksInFork(table, fork) == 0 };
    opened(table, |table| is_kind(table, b'r') && has_no_block(table)).unwrap_or(false)
}

/// Whether a partitioned table has partitions; false for what is none.
pub(crate) fn has_partitions(table: pg_sys::Oid) -> bool {
    // SAFETY: an open relation that is partitioned has this description, in the cache or made for it.
    let count = |table| unsafe { (*pg_sys::RelationGetPartitionDesc(table, false)).nparts };
    opened(table, |table| is_kind(table, b'p') && count(table) > 0).unwrap_or(false)
}

/// Whether a table has a trigger for each row and one for TRUNCATE that call this function.
pub(crate) fn calls(table: pg_sys::Oid, function: pg_sys::Oid) -> bool {
    let look = |table: pg_sys::Relation| {
        // SAFETY: an open relation; its triggers are as many as the description says, if it has one.
        let triggers = unsafe {
            (*table).trigdesc.as_ref().map_or(&[] as &[pg_sys::Trigger], |known| {
                std::slice::from_raw_parts(known.triggers, known.numtriggers as usize)
            })
        };
        let has = |bit: u32| {
            triggers
                .iter()
                .any(|one| one.tgfoid == function && u32::from(one.tgtype.cast_unsigned()) & bit != 0)
        };
        has(pg_sys::TRIGGER_TYPE_ROW) && has(pg_sys::TRIGGER_TYPE_TRUNCATE)
    };
    opened(table, look).unwrap_or(false)
}

/// Name and columns of a table; None when it no longer exists.
pub(crate) fn describe(table: pg_sys::Oid) -> Option<(TableName, Vec<Column>)> {
    // SAFETY: an open relation has a row description.
    opened(table, |table| unsafe { (TableName::of(&*table), columns((*table).rd_att)) })
}

/// Key columns of a table by OID, for functions that are given a table by name.
pub(crate) fn key_of(table: pg_sys::Oid) -> Vec<i16> {
    opened(table, key_columns).unwrap_or_default()
}
