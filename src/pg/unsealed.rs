//! Which databases have rows that no seal covers yet: one word of shared memory for each.
//!
//! Every commit that wrote to a stream looks at its database's word, so that is done without a lock. A place
//! is given to a database, and taken from it, under the lock of [`super::shared`].

use super::session;
use super::shared::{self, Duty};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Databases that can have unsealed rows at the same time; one more is looked at when another is done.
const PLACES: usize = 256;

/// Rows were committed since the sealer last looked.
const WAITS: u32 = 1;
/// The sealer has looked, and has not finished.
const WORKS: u32 = 2;
/// The sealer found that it must not go on.
const STOPPED: u32 = 4;
/// Somebody waits for the next seal.
const HURRY: u32 = 8;
/// How often in a row the sealer failed, above the flags.
const FAILURE: u32 = 1 << 8;
const MOST_FAILURES: u32 = 16 * FAILURE;

/// The database, and the flags below it; zero is free.
#[repr(transparent)]
struct Place(AtomicU64);

/// Zeros are a state without any database.
#[repr(C)]
pub(super) struct Places([Place; PLACES]);

/// A database with rows that a sealer should look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    pub(crate) database: u32,
    pub(crate) failures: u32,
}

thread_local! {
    /// Where this process last found its database.
    static KNOWN: Cell<usize> = const { Cell::new(0) };
    static WROTE: Cell<bool> = const { Cell::new(false) };
}

fn word(database: u32, flags: u32) -> u64 {
    u64::from(database) << 32 | u64::from(flags)
}

impl Place {
    fn read(&self) -> (u32, u32) {
        let word = self.0.load(Ordering::SeqCst);
        ((word >> 32) as u32, word as u32)
    }

    /// Changes the flags of a database; None when the place is not, or no longer, its own. Gives the flags
    /// that were there before.
    fn change(&self, database: u32, change: impl Fn(u32) -> u32) -> Option<u32> {
        loop {
            let (owner, flags) = self.read();
            if owner != database {
                return None;
            }
            let (before, after) = (word(database, flags), word(database, change(flags)));
            // Every commit comes here, so what would change nothing writes nothing. Whoever reads the flag
            // here has left the list of running transactions before, and the sealer takes its snapshot after
            // it takes the flag back; both pass the lock of that list.
            if before == after
                || self.0.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            {
                return Some(flags);
            }
        }
    }
}

impl Places {
    fn find(&self, database: u32) -> Option<usize> {
        self.0.iter().position(|place| place.read().0 == database)
    }

    /// Changes the flags of a database that has a place.
    fn change(&self, database: u32, change: impl Fn(u32) -> u32) -> Option<u32> {
        let known = KNOWN.get();
        if let Some(before) = self.0[known].change(database, &change) {
            return Some(before);
        }
        let found = self.find(database)?;
        KNOWN.set(found);
        self.0[found].change(database, change)
    }

    /// Gives a database a place, a free one or that of a database that needs none; alone.
    fn give(&self, database: u32) -> bool {
        self.find(database).is_some()
            || self.0.iter().any(|place| {
                let (owner, flags) = place.read();
                let (before, after) = (word(owner, 0), word(database, 0));
                flags == 0
                    && place.0.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            })
    }
}

/// The present transaction writes to a stream, or may have done so.
#[inline]
pub(crate) fn note_write() {
    WROTE.set(true);
}

/// Whether it did; asked once, when it has ended.
#[inline]
pub(crate) fn take_note() -> bool {
    WROTE.take()
}

/// Rows of this session's database were committed, or it should be looked whether some were.
#[inline]
pub(crate) fn announce() {
    announce_in(session::database().to_u32());
}

/// The same for another database.
pub(crate) fn announce_in(database: u32) {
    let Some(places) = shared::unsealed() else { return };
    let before = places.change(database, |flags| flags | WAITS).or_else(|| {
        shared::alone(|| places.give(database));
        places.change(database, |flags| flags | WAITS)
    });
    if before.is_some_and(|flags| flags & (WAITS | STOPPED) == 0) {
        shared::wake(Duty::Seal, database);
    }
}

/// Somebody waits for what this database has unsealed.
pub(crate) fn hurry() {
    let database = session::database().to_u32();
    let Some(places) = shared::unsealed() else { return };
    let waits = |flags: u32| flags & WAITS != 0;
    let before = places.change(database, |flags| if waits(flags) { flags | HURRY } else { flags });
    if before.is_some_and(|flags| waits(flags) && flags & HURRY == 0) {
        shared::wake(Duty::Seal, database);
    }
}

/// What made the sealer stop is no longer so.
pub(crate) fn resume() {
    let database = session::database().to_u32();
    if let Some(places) = shared::unsealed() {
        places.change(database, |flags| flags & !(STOPPED | WAITS));
    }
    announce();
}

/// The databases that a sealer should look at.
pub(crate) fn waiting() -> Vec<Waiting> {
    let Some(places) = shared::unsealed() else { return Vec::new() };
    let all = places.0.iter().map(Place::read);
    all.filter(|(_, flags)| flags & (WAITS | STOPPED) == WAITS)
        .map(|(database, flags)| Waiting { database, failures: flags / FAILURE })
        .collect()
}

/// The database no longer exists.
pub(crate) fn forget(database: u32) {
    let Some(places) = shared::unsealed() else { return };
    if let Some(found) = places.find(database) {
        let (owner, flags) = places.0[found].read();
        // Nobody else changes the word of a database to which nobody is connected.
        if owner == database {
            let _ =
                places.0[found].0.compare_exchange(word(owner, flags), 0, Ordering::SeqCst, Ordering::SeqCst);
        }
    }
}

/// Whether the sealer should look at its database, and whether somebody waits for it.
pub(crate) fn is_waiting(database: u32) -> (bool, bool) {
    let flags = shared::unsealed().and_then(|places| places.change(database, |flags| flags)).unwrap_or(0);
    (flags & WAITS != 0, flags & HURRY != 0)
}

/// The sealer begins: whatever is committed from now on counts as new.
pub(crate) fn begin(database: u32) {
    if let Some(places) = shared::unsealed() {
        places.change(database, |flags| flags & !(WAITS | HURRY) | WORKS);
    }
}

/// The sealer has done what there was to do.
pub(crate) fn finish(database: u32) {
    if let Some(places) = shared::unsealed() {
        places.change(database, |flags| flags & (FAILURE - 1) & !WORKS);
    }
}

/// The sealer has done what it began, and looks once more when the next seal is due.
pub(crate) fn look_again(database: u32) {
    if let Some(places) = shared::unsealed() {
        places.change(database, |flags| flags & (FAILURE - 1) & !WORKS | WAITS);
    }
}

/// The sealer leaves before it has finished.
pub(crate) fn put_off(database: u32) {
    if let Some(places) = shared::unsealed() {
        places.change(database, |flags| if flags & WORKS != 0 { flags & !WORKS | WAITS } else { flags });
    }
}

/// The sealer must not go on, until somebody says that it may.
pub(crate) fn stop(database: u32) {
    if let Some(places) = shared::unsealed() {
        places.change(database, |_| STOPPED);
    }
}

/// The sealer's process ends, be it with an ERROR.
pub(super) fn leave(places: &Places, database: u32) {
    places.change(database, |flags| {
        if flags & WORKS == 0 {
            return flags;
        }
        let failures = if flags < MOST_FAILURES { FAILURE } else { 0 };
        (flags & !WORKS | WAITS) + failures
    });
}

/// Whether nothing of this database waits.
pub(super) fn is_done(places: &Places, database: u32) -> bool {
    places.change(database, |flags| flags).is_none_or(|flags| flags & (WAITS | STOPPED) != WAITS)
}
