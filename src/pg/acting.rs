//! Acting: as which role, under which snapshot, with which locks.

use super::{call, names};
use pgrx::prelude::*;

/// Whether a function of ours is running: one that belongs to audit_owner, called by somebody else. Whoever made
/// themselves that role is not meant.
pub(crate) fn in_own_function() -> bool {
    let roles = super::session::roles();
    audit_owner().is_some_and(|owner| roles.effective == owner && roles.outer != owner)
}

/// Whether this database has recorded anything itself, rather than only been filled by a restore.
pub(crate) fn has_own_events() -> bool {
    without_trace(|| with_latest_snapshot(|| !call::text_function(c"_has_own_events", []).is_empty()))
}

/// Runs `look`, which only reads, so that no lock of it stays: a restore by several processes would wait for itself.
fn without_trace<T>(look: impl FnOnce() -> T) -> T {
    // SAFETY: a subtransaction that is begun and rolled back here, with the memory context and the resource owner
    // of the caller put back as the server's own languages do; an ERROR in between ends it with the transaction.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let result = look();
        pg_sys::RollbackAndReleaseCurrentSubTransaction();
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}

/// The role that owns what is ours.
pub(crate) fn audit_owner() -> Option<pg_sys::Oid> {
    names::role(c"audit_owner")
}

/// Runs `action` with the rights of a table's owner, as foreign keys do: it is the owner's code that runs then,
/// and it cannot change whose rights it has. Without effect when the table no longer exists.
///
/// An ERROR in between restores the role with the transaction.
pub(crate) fn as_owner_of<T>(table: pg_sys::Oid, action: impl FnOnce() -> T) -> T {
    let Some(owner) = names::owner(table) else { return action() };
    let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE
        | pg_sys::SECURITY_RESTRICTED_OPERATION
        | pg_sys::SECURITY_NOFORCE_RLS;
    as_role(owner, restricted as i32, action)
}

/// Runs `action` as another role, with additional flags of the server's security context.
pub(crate) fn as_role<T>(role: pg_sys::Oid, flags: i32, action: impl FnOnce() -> T) -> T {
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: the server's own way of acting as another role.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(role, context | flags);
    }
    let result = action();
    // SAFETY: puts back what was read above.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    result
}

/// Runs `action` under the transaction's snapshot, where none is active: when the transaction is about to end.
pub(crate) fn with_snapshot<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: the snapshot is pushed and popped in pairs; an ERROR pops it with the transaction.
    with_active(|| unsafe { pg_sys::GetTransactionSnapshot() }, action)
}

/// Runs `action` so that what reads only, reads what is committed now, also where the transaction's own
/// snapshot is older.
pub(crate) fn with_latest_snapshot<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: as above.
    with_active(|| unsafe { pg_sys::GetLatestSnapshot() }, action)
}

fn with_active<T>(snapshot: impl FnOnce() -> pg_sys::Snapshot, action: impl FnOnce() -> T) -> T {
    // SAFETY: pushed and popped in pairs; an ERROR pops it with the transaction.
    unsafe { pg_sys::PushActiveSnapshot(snapshot()) };
    let result = action();
    // SAFETY: as above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Locks a relation in ROW SHARE mode to the end of the transaction.
pub(crate) fn lock_row_share(relation: pg_sys::Oid) {
    // SAFETY: waits for whoever holds a conflicting lock; cancellable.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::RowShareLock as pg_sys::LOCKMODE) };
}
