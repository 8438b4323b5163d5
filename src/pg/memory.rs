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

/// Runs `action` so that what it opens or pins belongs to the top transaction and survives the end of a
/// savepoint. An ERROR makes the server choose the owner itself.
pub(crate) fn as_top_transaction<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: exchanges a variable of the server and puts it back.
    unsafe {
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        let result = action();
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}
