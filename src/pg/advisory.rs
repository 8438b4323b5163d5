//! Advisory locks that nobody else can take.

use super::session;
use pgrx::prelude::*;

/// What a lock is for. SQL can only take locks of classes 1 and 2, so nobody can keep us from taking ours.
#[derive(Clone, Copy)]
pub(crate) enum Class {
    /// Sealing the rows of this database.
    Seal = 5,
    /// What concerns one person.
    Person = 6,
}

/// Takes a lock in this database until the transaction ends; false when somebody else has it and we are not
/// to wait.
pub(crate) fn lock(class: Class, number: u64, waits: bool) -> bool {
    let tag = pg_sys::LOCKTAG {
        locktag_field1: session::database().to_u32(),
        locktag_field2: (number >> 32) as u32,
        locktag_field3: number as u32,
        locktag_field4: class as u16,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    };
    // SAFETY: a lock of the transaction; the wait can be cancelled.
    let taken =
        unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, false, !waits) };
    taken != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}
