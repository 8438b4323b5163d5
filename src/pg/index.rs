//! Index entries of an audit row.
//!
//! The leaf's own indexes are on plain columns, at most with the predicate "column IS NOT NULL", and take the
//! short way. An index that a user added on an expression or with another predicate takes the executor's.

use super::memory::{Memory, as_top_transaction, keep_for_transaction};
use pgrx::prelude::*;

/// What inserting into an index takes.
const LOCK: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;

/// One index of the leaf; the description is kept across transactions, the open relation is not.
pub(crate) struct Index {
    oid: pg_sys::Oid,
    /// Positions of the indexed columns in the leaf's row.
    columns: Vec<usize>,
    /// The entry is made only when this column is not null.
    only_if_set: Option<usize>,
    /// Has an expression, or a predicate of another kind.
    general: bool,
    unique: bool,
    info: *mut pg_sys::IndexInfo,
    relation: Option<pg_sys::Relation>,
}

impl Index {
    /// Opens and describes an index of an open leaf. `memory` must live as long as the description.
    ///
    /// None for an index that is not yet ready for inserts.
    pub(crate) fn describe(oid: pg_sys::Oid, memory: &Memory) -> Option<Self> {
        // SAFETY: an ERROR for an index that no longer exists; BuildIndexInfo allocates in the context that
        // outlives the description.
        unsafe {
            let relation = pg_sys::index_open(oid, LOCK);
            if !(*(*relation).rd_index).indisready {
                pg_sys::index_close(relation, LOCK);
                return None;
            }
            let info = memory.run(|| pg_sys::BuildIndexInfo(relation));
            let count = (*info).ii_NumIndexAttrs as usize;
            let attributes = &(&(*info).ii_IndexAttrNumbers)[..count];
            let predicate = (*info).ii_Predicate;
            let only_if_set = not_null_column(predicate);
            let general = (!predicate.is_null() && only_if_set.is_none())
                || attributes.iter().any(|&attribute| attribute <= 0);
            (*info).ii_AmCache = std::ptr::null_mut();
            (*info).ii_Context = pg_sys::TopTransactionContext;
            // Last, because a description that fails must not leave the index open.
            keep_for_transaction(relation);
            Some(Self {
                oid,
                columns: attributes.iter().map(|&attribute| (attribute - 1).max(0) as usize).collect(),
                only_if_set,
                general,
                unique: (*info).ii_Unique,
                info,
                relation: Some(relation),
            })
        }
    }

    /// Makes the entry of `tuple`, whose columns are `values` and `nulls`.
    pub(crate) fn insert(
        &mut self,
        leaf: pg_sys::Relation,
        tuple: pg_sys::HeapTuple,
        values: &[pg_sys::Datum],
        nulls: &[bool],
    ) {
        if self.only_if_set.is_some_and(|column| nulls[column]) {
            return;
        }
        let relation = self.opened();
        if self.general {
            return self.insert_by_executor(relation, leaf, tuple);
        }
        let mut keys = [pg_sys::Datum::null(); pg_sys::INDEX_MAX_KEYS as usize];
        let mut empty = [true; pg_sys::INDEX_MAX_KEYS as usize];
        for (position, &column) in self.columns.iter().enumerate() {
            keys[position] = values[column];
            empty[position] = nulls[column];
        }
        self.enter(relation, leaf, tuple, &mut keys, &mut empty);
    }

    fn opened(&mut self) -> pg_sys::Relation {
        match self.relation {
            Some(relation) => relation,
            None => {
                // SAFETY: as in `describe`. What an access method caches in `info` lives in the transaction's
                // memory, and the last transaction's is gone.
                let relation = unsafe {
                    let relation = pg_sys::index_open(self.oid, LOCK);
                    keep_for_transaction(relation);
                    (*self.info).ii_AmCache = std::ptr::null_mut();
                    (*self.info).ii_Context = pg_sys::TopTransactionContext;
                    relation
                };
                self.relation = Some(relation);
                relation
            }
        }
    }

    fn enter(
        &self,
        relation: pg_sys::Relation,
        leaf: pg_sys::Relation,
        tuple: pg_sys::HeapTuple,
        keys: &mut [pg_sys::Datum; pg_sys::INDEX_MAX_KEYS as usize],
        empty: &mut [bool; pg_sys::INDEX_MAX_KEYS as usize],
    ) {
        let check = if self.unique {
            pg_sys::IndexUniqueCheck::UNIQUE_CHECK_YES
        } else {
            pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO
        };
        // SAFETY: relation, leaf and tuple are valid and belong together.
        let mut insert = || unsafe {
            pg_sys::index_insert(
                relation,
                keys.as_mut_ptr(),
                empty.as_mut_ptr(),
                &mut (*tuple).t_self,
                leaf,
                check,
                false,
                self.info,
            )
        };
        // From 17 on BRIN keeps a page pinned between calls; the pin must outlive a savepoint, as the open
        // relation does.
        if keeps_pin(relation) {
            as_top_transaction(insert)
        } else {
            insert()
        };
    }

    fn insert_by_executor(
        &self,
        relation: pg_sys::Relation,
        leaf: pg_sys::Relation,
        tuple: pg_sys::HeapTuple,
    ) {
        let mut keys = [pg_sys::Datum::null(); pg_sys::INDEX_MAX_KEYS as usize];
        let mut empty = [true; pg_sys::INDEX_MAX_KEYS as usize];
        // SAFETY: the usual executor set-up of one tuple, torn down before returning; on ERROR the transaction
        // frees it. Prepared expressions live in the executor's memory and must not stay in `info`.
        unsafe {
            let executor = pg_sys::CreateExecutorState();
            let context = pg_sys::MakePerTupleExprContext(executor);
            let slot = pg_sys::MakeSingleTupleTableSlot((*leaf).rd_att, &raw const pg_sys::TTSOpsHeapTuple);
            pg_sys::ExecStoreHeapTuple(tuple, slot, false);
            (*context).ecxt_scantuple = slot;
            let wanted = (*self.info).ii_Predicate.is_null()
                || holds(pg_sys::ExecPrepareQual((*self.info).ii_Predicate, executor), context);
            if wanted {
                (*self.info).ii_ExpressionsState = std::ptr::null_mut();
                pg_sys::FormIndexDatum(self.info, slot, executor, keys.as_mut_ptr(), empty.as_mut_ptr());
                self.enter(relation, leaf, tuple, &mut keys, &mut empty);
            }
            (*self.info).ii_ExpressionsState = std::ptr::null_mut();
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::FreeExecutorState(executor);
        }
    }

    /// Closes the relation, keeping its lock to the end of the transaction. The caller has made the top
    /// transaction's resource owner current.
    pub(crate) fn close(&mut self) {
        if let Some(relation) = self.relation.take() {
            // SAFETY: the relation was opened by this description and not closed since.
            unsafe {
                #[cfg(any(feature = "pg17", feature = "pg18"))]
                pg_sys::index_insert_cleanup(relation, self.info);
                pg_sys::index_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            }
        }
    }

    /// Forgets the relation after an abort, which has released it already.
    pub(crate) fn forget(&mut self) {
        self.relation = None;
    }
}

/// Evaluates a prepared predicate; unknown counts as false.
///
/// # Safety
/// `predicate` was prepared for the executor state that `context` belongs to.
unsafe fn holds(predicate: *mut pg_sys::ExprState, context: *mut pg_sys::ExprContext) -> bool {
    let mut is_null = false;
    // SAFETY: the caller's promise; the call may raise an ERROR, so it crosses the guarded boundary.
    unsafe {
        let Some(evaluate) = (*predicate).evalfunc else { return true };
        let result = pg_sys::ffi::pg_guard_ffi_boundary(|| evaluate(predicate, context, &mut is_null));
        result.value() != 0 && !is_null
    }
}

/// Whether the access method keeps a buffer pinned between inserts.
fn keeps_pin(index: pg_sys::Relation) -> bool {
    // SAFETY: the relation is open.
    cfg!(any(feature = "pg17", feature = "pg18"))
        && unsafe { (*(*index).rd_rel).relam } == pg_sys::BRIN_AM_OID
}

/// The column of a predicate "column IS NOT NULL", as a position in the row.
fn not_null_column(predicate: *mut pg_sys::List) -> Option<usize> {
    // SAFETY: the predicate is a list of expression nodes, or null; each cast follows a test of the node's tag.
    unsafe {
        if predicate.is_null() || (*predicate).length != 1 {
            return None;
        }
        let node = (*(*predicate).elements).ptr_value.cast::<pg_sys::Node>();
        if (*node).type_ != pg_sys::NodeTag::T_NullTest {
            return None;
        }
        let test = &*node.cast::<pg_sys::NullTest>();
        if test.nulltesttype != pg_sys::NullTestType::IS_NOT_NULL
            || (*test.arg.cast::<pg_sys::Node>()).type_ != pg_sys::NodeTag::T_Var
        {
            return None;
        }
        let attribute = (*test.arg.cast::<pg_sys::Var>()).varattno;
        (attribute > 0).then(|| attribute as usize - 1)
    }
}
