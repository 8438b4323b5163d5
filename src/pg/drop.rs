//! Drops that the guard lets pass: of a partition whose time is over, and of the whole extension when it holds
//! nothing.
//!
//! A partition is dropped natively. No statement runs, so nobody can have one of their own run in its place.

use super::names;
use pgrx::prelude::*;
use std::cell::Cell;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Whether one of them is running.
pub(crate) fn is_running() -> bool {
    RUNNING.get()
}

/// Ends the permission, also when an ERROR passes.
pub(crate) struct Permission;

impl Permission {
    pub(crate) fn give() -> Self {
        RUNNING.set(true);
        Self
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        RUNNING.set(false);
    }
}

/// Drops a partition. Its table is locked first, as the server does, so that readers and writers of both never
/// wait for each other in a circle.
pub(crate) fn partition(leaf: pg_sys::Oid) {
    let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
    let parent = names::parent(leaf);
    let permission = Permission::give();
    // SAFETY: both are locked before the leaf is dropped; what depends on it beyond its own indexes and
    // triggers raises an ERROR.
    unsafe {
        if let Some(parent) = parent {
            pg_sys::LockRelationOid(parent, lock);
        }
        pg_sys::LockRelationOid(leaf, lock);
        let object =
            pg_sys::ObjectAddress { classId: pg_sys::RelationRelationId, objectId: leaf, objectSubId: 0 };
        pg_sys::performDeletion(&object, pg_sys::DropBehavior::DROP_RESTRICT, 0);
    }
    drop(permission);
}
