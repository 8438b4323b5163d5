//! Writes audit rows straight into the leaf: heap row, then its index entries.
//!
//! One writer per backend, opened by the first row of a transaction and kept to its end under the top
//! transaction's resource owner, so that a released savepoint does not close it. Nothing is buffered: each
//! row carries the subtransaction that made the change, and lives or dies with it. Constraints are not checked
//! here: the fields obey them by construction, and a test compares.

use super::events::{self, Stale};
use super::index::Index;
use super::leaf::{self, Field, LEAF_COLUMNS, Leaf};
use super::memory::{Memory, as_top_transaction, keep_for_transaction};
use super::{ids, maintenance, names, unsealed};
use pgrx::prelude::*;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// The kinds of change, in the order of the enum `audit.operation`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Insert,
    Update,
    Delete,
    Truncate,
}

/// The values of one audit row; a field that is not set is null.
pub(crate) struct Row {
    values: [pg_sys::Datum; LEAF_COLUMNS],
    nulls: [bool; LEAF_COLUMNS],
}

impl Row {
    pub(crate) fn new() -> Self {
        Self { values: [pg_sys::Datum::null(); LEAF_COLUMNS], nulls: [true; LEAF_COLUMNS] }
    }

    #[inline]
    pub(crate) fn set(&mut self, field: Field, value: pg_sys::Datum) {
        self.values[field as usize] = value;
        self.nulls[field as usize] = false;
    }

    #[inline]
    pub(crate) fn set_optional(&mut self, field: Field, value: Option<pg_sys::Datum>) {
        if let Some(value) = value {
            self.set(field, value);
        }
    }
}

/// A leaf, what is known of its columns and indexes, and its relation while that is open.
struct Target {
    leaf: Leaf,
    relation: Option<pg_sys::Relation>,
    sources: Vec<Option<Field>>,
    /// Whether the sources are all fields in their order, as in every leaf that the extension made.
    in_order: bool,
    indexes: Vec<Index>,
    /// Raised when one of the leaf's indexes changes: an index that is being built concurrently becomes ready
    /// for inserts without a word about the leaf itself.
    indexes_stale: Stale,
    /// Holds the index descriptions.
    memory: Memory,
    /// Whether columns and indexes were read completely.
    described: bool,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

thread_local! {
    /// Never dropped at the end of the process, when the server's memory may be gone already.
    static TARGET: ManuallyDrop<RefCell<Option<Target>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Writes one row of a change that happened at `time`; id, salt and operation are filled here.
pub(crate) fn write(operation: Operation, row: &mut Row, time: i64) {
    let salt = ids::salt();
    row.set(Field::LoggedAt, time.into());
    row.set(Field::Salt, pg_sys::Datum::from(salt.as_ptr()));
    // Finding a leaf may run statements that come back to this writer, so nothing is borrowed meanwhile.
    while !with_target(|slot| write_if_ready(slot, time, operation, row)) {
        let leaf = find(time);
        with_target(|slot| {
            slot.iter_mut().for_each(Target::close);
            *slot = Some(Target::new(leaf));
        });
    }
}

/// Closes what is open, keeping the locks; before commit and before DDL.
pub(crate) fn close() {
    with_target(|slot| slot.iter_mut().for_each(Target::close));
}

/// Forgets what was open after an abort, which has closed it already.
pub(crate) fn forget() {
    with_target(|slot| {
        if let Some(target) = slot {
            target.relation = None;
            target.indexes.iter_mut().for_each(Index::forget);
        }
    });
}

fn with_target<T>(action: impl FnOnce(&mut Option<Target>) -> T) -> T {
    TARGET.with(|target| action(&mut target.borrow_mut()))
}

/// Writes the row if the known leaf is the right one and can be opened; else forgets the leaf and says false.
fn write_if_ready(slot: &mut Option<Target>, time: i64, operation: Operation, row: &mut Row) -> bool {
    let Some(target) = slot else { return false };
    // The lock may have waited for somebody who changed or dropped the leaf: look again after it.
    let relation = if target.is_current(time) { target.opened() } else { None };
    match relation {
        Some(relation) if !target.is_stale() => {
            target.insert(relation, operation, row);
            true
        }
        _ => {
            target.close();
            *slot = None;
            false
        }
    }
}

fn find(time: i64) -> Leaf {
    let leaf = leaf::find(time).or_else(|| {
        maintenance::make_leaves();
        leaf::find(time)
    });
    let Some(leaf) = leaf else {
        super::errors::raise(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "no partition of audit.audit_log covers the present time",
            Some("SELECT fix FROM audit.health() WHERE check_name = 'partitions';"),
        )
    };
    ids::check_sequence(leaf.sequence, || maintenance::newest_id(leaf.oid));
    leaf
}

impl Target {
    fn new(leaf: Leaf) -> Self {
        Self {
            leaf,
            relation: None,
            sources: Vec::new(),
            in_order: false,
            indexes: Vec::new(),
            indexes_stale: Stale::default(),
            memory: Memory::new(c"audit_guard leaf"),
            described: false,
            values: Vec::new(),
            nulls: Vec::new(),
        }
    }

    #[inline]
    fn is_current(&self, time: i64) -> bool {
        let (first, end) = self.leaf.bounds;
        !self.is_stale() && first <= time && (time < end || end == i64::MAX)
    }

    #[inline]
    fn is_stale(&self) -> bool {
        self.leaf.stale.get() || self.indexes_stale.get()
    }

    /// The open heap; None when the leaf is gone.
    #[inline]
    fn opened(&mut self) -> Option<pg_sys::Relation> {
        if self.relation.is_none() {
            unsealed::note_write();
            let lock = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
            // SAFETY: gives null when the relation no longer exists.
            self.relation = unsafe {
                let relation = pg_sys::try_table_open(self.leaf.oid, lock);
                (!relation.is_null()).then(|| {
                    keep_for_transaction(relation);
                    relation
                })
            };
        }
        self.relation
    }

    /// Reads columns and indexes of the open leaf, once per leaf; anew when an ERROR came in between.
    fn describe(&mut self, relation: pg_sys::Relation) {
        as_top_transaction(|| self.indexes.iter_mut().for_each(Index::close));
        self.indexes.clear();
        self.sources = leaf::column_sources(relation);
        self.in_order = leaf::in_order(&self.sources);
        self.values = vec![pg_sys::Datum::null(); self.sources.len()];
        self.nulls = vec![true; self.sources.len()];
        // SAFETY: the list belongs to this call.
        unsafe {
            let list = pg_sys::RelationGetIndexList(relation);
            let count = list.as_ref().map_or(0, |list| list.length);
            let oids: Vec<_> = (0..count).map(|position| names::list_oid(list, position)).collect();
            pg_sys::list_free(list);
            self.indexes_stale = events::watch(oids.clone());
            for oid in oids {
                self.indexes.extend(Index::describe(oid, &self.memory));
            }
        }
        self.described = true;
    }

    fn insert(&mut self, relation: pg_sys::Relation, operation: Operation, row: &mut Row) {
        if !self.described {
            self.describe(relation);
        }
        row.set(Field::Id, ids::next_id(self.leaf.sequence).into());
        row.set(Field::Operation, self.leaf.operations[operation as usize].into());
        if !self.in_order {
            self.reorder(row);
        }
        let (values, nulls) = if self.in_order {
            (row.values.as_mut_slice(), row.nulls.as_mut_slice())
        } else {
            (self.values.as_mut_slice(), self.nulls.as_mut_slice())
        };
        // SAFETY: values and nulls have one entry for each column of the open relation, of the column's type;
        // the tuple lives in the memory of the trigger call.
        let tuple = unsafe {
            let tuple = pg_sys::heap_form_tuple((*relation).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            let command = pg_sys::GetCurrentCommandId(true);
            pg_sys::heap_insert(relation, tuple, command, 0, std::ptr::null_mut());
            tuple
        };
        for index in &mut self.indexes {
            index.insert(relation, tuple, values, nulls);
        }
    }

    /// Puts the values in the order of a leaf that somebody made with another one.
    fn reorder(&mut self, row: &Row) {
        for (position, source) in self.sources.iter().enumerate() {
            match source {
                Some(field) => {
                    self.values[position] = row.values[*field as usize];
                    self.nulls[position] = row.nulls[*field as usize];
                }
                None => self.nulls[position] = true,
            }
        }
    }

    fn close(&mut self) {
        let Some(relation) = self.relation.take() else { return };
        as_top_transaction(|| {
            self.indexes.iter_mut().for_each(Index::close);
            // SAFETY: opened by `open`, closed once; the lock stays to the end of the transaction.
            unsafe { pg_sys::table_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE) };
        });
    }
}
