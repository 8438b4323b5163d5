//! Memory and resources of the server that outlive a call.

use pgrx::pg_sys;
use std::ffi::CStr;

/// A memory context for what is cached across transactions; deleted with its owner.
pub(crate) struct Memory(pg_sys::MemoryContext);

impl Memory {
    pub(crate) fn new(name: &'static CStr) -> Self {
        // SAFETY: a child of the context that lives as long as the process; the name is a constant.
        Self(unsafe {
            pg_sys::AllocSetContextCreateExtended(
                pg_sys::CacheMemoryContext,
                name.as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
            )
        })
    }

    pub(crate) fn context(&self) -> pg_sys::MemoryContext {
        self.0
    }

    /// Runs `allocate` with this context as the current one. An ERROR makes the server choose its own.
    pub(crate) fn run<T>(&self, allocate: impl FnOnce() -> T) -> T {
        // SAFETY: both contexts are alive.
        unsafe {
            let caller = pg_sys::MemoryContextSwitchTo(self.0);
            let result = allocate();
            pg_sys::MemoryContextSwitchTo(caller);
            result
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: made by `new`; the owner of this value owned everything in it.
        unsafe { pg_sys::MemoryContextDelete(self.0) };
    }
}

/// Runs `action`, which waits for nothing, so that what it opens, pins or closes belongs to the top
/// transaction and survives the end of a savepoint. If it failed in a savepoint, nobody would let go of what
/// the top transaction holds by then, so a cancellation waits until the action is done.
pub(crate) fn as_top_transaction<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: changes two variables of the server and puts them back; after an ERROR the server resets both.
    unsafe {
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::InterruptHoldoffCount += 1;
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        let result = action();
        pg_sys::CurrentResourceOwner = owner;
        pg_sys::InterruptHoldoffCount -= 1;
        result
    }
}

/// Hands an open relation to the top transaction, so that it stays open when a savepoint ends. Opening it there
/// would not do: it waits for locks and reads catalogues, and may be cancelled meanwhile. The lock is released
/// with the savepoint that took it, if that is rolled back.
///
/// # Safety
/// The caller has just opened the relation under the current resource owner.
pub(crate) unsafe fn keep_for_transaction(relation: pg_sys::Relation) {
    // SAFETY: the caller's promise.
    unsafe {
        as_top_transaction(|| pg_sys::RelationIncrementReferenceCount(relation));
        pg_sys::relation_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
    }
}
