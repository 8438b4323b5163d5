//! Shared memory of the preloaded library: refused attempts on their way to the table, who takes them there,
//! when which database wants maintenance, and which ones have rows to be sealed.
//!
//! It is set up by the postmaster. What waits in it survives a restart of the server, and a crash of one of
//! its processes: the postmaster writes it to a file before it lets go of the memory, and reads it back.

use super::unsealed::Places;
use super::{log, unsealed};
use audit_guard_core::denials::{Attempt, Entry, Header, Ring, Waiting};
use pgrx::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, Ordering};

const NAME: &CStr = c"audit_guard";
/// Below the data directory, as the server's own statistics. It exists only while the server does not run.
const FILE: &str = "pg_stat/audit_guard.denied";
const NEW_FILE: &str = "pg_stat/audit_guard.denied.new";
/// Databases whose attempts can find no place at the same time without being mixed up.
const LATEST: usize = 64;
/// More workers than a server usually has room for.
const WORKERS: usize = 64;
/// Databases with maintenance by our own worker.
const SCHEDULES: usize = 256;

/// What a worker is there for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub(crate) enum Duty {
    /// Starts the others.
    Launch = 1,
    /// Takes refused attempts to the table.
    Record = 2,
    /// Makes partitions and removes what has expired.
    Maintain = 3,
    /// Puts rows under a seal.
    Seal = 4,
}

/// A worker that is there; a free place has no latch.
#[repr(C)]
#[derive(Clone, Copy)]
struct Worker {
    latch: *mut pg_sys::Latch,
    duty: u32,
    database: u32,
}

/// When a database wants maintenance; a free place has no database.
#[repr(C)]
#[derive(Clone, Copy)]
struct Schedule {
    at: i64,
    database: u32,
}

#[repr(C)]
struct Segment {
    workers: [Worker; WORKERS],
    schedules: [Schedule; SCHEDULES],
    header: Header,
    /// Read and changed without the lock.
    unsealed: Places,
}

/// What the lock protects.
struct Shared<'a> {
    ring: Ring<'a>,
    workers: &'a mut [Worker; WORKERS],
    schedules: &'a mut [Schedule; SCHEDULES],
}

/// The memory and its lock, the same in every process that the postmaster starts; null without preload.
static SEGMENT: AtomicPtr<Segment> = AtomicPtr::new(std::ptr::null_mut());
static LOCK: AtomicPtr<pg_sys::LWLock> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    static SLOTS: Cell<fn() -> usize> = const { Cell::new(|| 0) };
    static NEXT_REQUEST_HOOK: Cell<pg_sys::shmem_request_hook_type> = const { Cell::new(None) };
    static NEXT_STARTUP_HOOK: Cell<pg_sys::shmem_startup_hook_type> = const { Cell::new(None) };
}

/// Asks for shared memory; called once, when the server itself loads the library. `slots` tells how many
/// attempts shall find a place; it is asked when all settings are known.
pub(crate) fn install(slots: fn() -> usize) {
    SLOTS.set(slots);
    // SAFETY: hooks are set once, while libraries are preloaded; the previous ones are kept and called.
    unsafe {
        NEXT_REQUEST_HOOK.set(pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(request);
        NEXT_STARTUP_HOOK.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(start_up);
    }
}

fn size(slots: usize) -> usize {
    size_of::<Segment>() + (slots + LATEST) * size_of::<Entry>() + slots * size_of::<u32>()
}

#[pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: the server calls this hook when memory and locks may be asked for.
    unsafe {
        if let Some(next) = NEXT_REQUEST_HOOK.get() {
            pg_sys::ffi::pg_guard_ffi_boundary(|| next());
        }
        pg_sys::RequestAddinShmemSpace(size(SLOTS.get()()));
        pg_sys::RequestNamedLWLockTranche(NAME.as_ptr(), 1);
    }
}

/// Runs in the postmaster alone, at start and after a crash; so nobody else looks at the memory yet.
#[pg_guard]
unsafe extern "C-unwind" fn start_up() {
    // SAFETY: the server calls this hook when the memory that was asked for is there; the callback is a
    // function that lives as long as the process.
    unsafe {
        if let Some(next) = NEXT_STARTUP_HOOK.get() {
            pg_sys::ffi::pg_guard_ffi_boundary(|| next());
        }
        let mut found = false;
        let memory = pg_sys::ShmemInitStruct(NAME.as_ptr(), size(SLOTS.get()()), &mut found);
        if !found {
            std::ptr::write_bytes(memory.cast::<u8>(), 0, size_of::<Segment>());
        }
        SEGMENT.store(memory.cast(), Ordering::Relaxed);
        LOCK.store(&raw mut (*pg_sys::GetNamedLWLockTranche(NAME.as_ptr())).lock, Ordering::Relaxed);
        if !pg_sys::IsUnderPostmaster {
            pg_sys::on_shmem_exit(Some(save), pg_sys::Datum::from(0));
        }
    }
    let saved = read_file();
    unlocked(|shared| {
        shared.ring.clear();
        shared.ring.refill(&saved);
    });
}

fn read_file() -> Vec<Waiting> {
    let Ok(text) = std::fs::read(FILE) else { return Vec::new() };
    let saved = serde_json::from_slice(&text);
    // A server that crashes before all of it is in the table must not find it a second time.
    let removed = std::fs::remove_file(FILE);
    if let Some(error) =
        saved.as_ref().err().map(ToString::to_string).or(removed.err().map(|e| e.to_string()))
    {
        log::line(&format!("audit_guard: reading refused attempts from {FILE}: {error}"));
    }
    saved.unwrap_or_default()
}

/// Called in the postmaster before the memory goes, also when a process has died and may have left it in
/// disorder; so it waits for no lock.
#[pg_guard]
unsafe extern "C-unwind" fn save(_code: core::ffi::c_int, _argument: pg_sys::Datum) {
    let Some(all) = unlocked(|shared| shared.ring.all()) else { return };
    if all.is_empty() {
        return;
    }
    let written =
        serde_json::to_vec(&all).map_err(std::io::Error::from).and_then(|text| write_durably(&text));
    if let Err(error) = written {
        log::line(&format!(
            "audit_guard: {} refused attempts are in this log only: {FILE}: {error}",
            all.len()
        ));
    }
}

fn write_durably(text: &[u8]) -> std::io::Result<()> {
    std::fs::write(NEW_FILE, text)?;
    std::fs::File::open(NEW_FILE)?.sync_all()?;
    std::fs::rename(NEW_FILE, FILE)?;
    std::fs::File::open(Path::new(FILE).parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Gives the memory to `action`, if there is any.
fn unlocked<T>(action: impl FnOnce(&mut Shared) -> T) -> Option<T> {
    let segment = SEGMENT.load(Ordering::Relaxed);
    if segment.is_null() {
        return None;
    }
    let slots = SLOTS.get()();
    // SAFETY: `size` bytes were set aside for the segment, the entries and the list of free places, in this
    // order and each at a multiple of its alignment; any bits are a value of the latter two, and zeros, or
    // what we wrote, are one of the first. Whoever calls has the lock, or is alone.
    unsafe {
        let entries = segment.add(1).cast::<Entry>();
        let latest = entries.add(slots);
        let free = latest.add(LATEST).cast::<u32>();
        let ring = Ring {
            header: &mut (*segment).header,
            free: std::slice::from_raw_parts_mut(free, slots),
            entries: std::slice::from_raw_parts_mut(entries, slots),
            latest: std::slice::from_raw_parts_mut(latest, LATEST),
        };
        let (workers, schedules) = (&mut (*segment).workers, &mut (*segment).schedules);
        Some(action(&mut Shared { ring, workers, schedules }))
    }
}

/// The same, while nobody else has it. `action` calls nothing that could raise an ERROR.
fn locked<T>(action: impl FnOnce(&mut Shared) -> T) -> Option<T> {
    let lock = LOCK.load(Ordering::Relaxed);
    if lock.is_null() {
        return None;
    }
    // SAFETY: the lock was made with the memory; it is given back below.
    unsafe { pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE) };
    let result = unlocked(action);
    // SAFETY: taken above.
    unsafe { pg_sys::LWLockRelease(lock) };
    result
}

/// The words that tell which databases have rows to be sealed, if there is shared memory.
pub(super) fn unsealed() -> Option<&'static Places> {
    let segment = SEGMENT.load(Ordering::Relaxed);
    // SAFETY: the memory stays as long as the process; this part of it is atomic words, which nobody borrows in
    // another way.
    (!segment.is_null()).then(|| unsafe { &(*segment).unsealed })
}

/// Runs `action`, which raises no ERROR, while nobody else does anything here.
pub(super) fn alone<T>(action: impl FnOnce() -> T) -> Option<T> {
    locked(|_| action())
}

/// Wakes who has a duty in a database, else the one who starts them.
pub(super) fn wake(duty: Duty, database: u32) {
    locked(|shared| {
        let _ = shared.wake(duty, database) || shared.wake(Duty::Launch, 0);
    });
}

impl Shared<'_> {
    fn wake(&self, duty: Duty, database: u32) -> bool {
        let worker = self.workers.iter().find(|worker| worker.is(duty, database));
        if let Some(worker) = worker {
            // SAFETY: latches of server processes stay where they are; a process that is gone does not mind.
            unsafe { pg_sys::SetLatch(worker.latch) };
        }
        worker.is_some()
    }

    fn set_schedule(&mut self, database: u32, at: Option<i64>) -> bool {
        let place = self.schedules.iter().position(|schedule| schedule.database == database);
        let place = place.or_else(|| self.schedules.iter().position(|schedule| schedule.database == 0));
        match (place, at) {
            (Some(place), Some(at)) => self.schedules[place] = Schedule { at, database },
            (Some(place), None) => self.schedules[place] = Schedule { at: 0, database: 0 },
            (None, at) => return at.is_none(),
        }
        true
    }
}

impl Worker {
    fn is(&self, duty: Duty, database: u32) -> bool {
        !self.latch.is_null() && self.duty == duty as u32 && self.database == database
    }
}

/// Takes a refused attempt in and wakes who takes it to the table. Without shared memory nothing happens.
pub(crate) fn push(attempt: &Attempt) {
    let entry = Entry::new(attempt);
    locked(|shared| {
        shared.ring.push(entry);
        let _ = shared.wake(Duty::Record, attempt.database) || shared.wake(Duty::Launch, 0);
    });
}

/// The databases that have attempts waiting, with the number of the oldest of each.
pub(crate) fn waiting() -> BTreeMap<u32, u64> {
    locked(|shared| shared.ring.databases()).unwrap_or_default()
}

/// The oldest attempts of a database with their places.
pub(crate) fn pending(database: u32, limit: usize) -> Vec<(u32, Waiting)> {
    locked(|shared| shared.ring.pending(database, limit)).unwrap_or_default()
}

/// Notes which transaction writes these attempts.
pub(crate) fn mark(places: &[u32], transaction: u64) {
    locked(|shared| shared.ring.mark(places, transaction));
}

/// Makes the places of attempts free that have been written.
pub(crate) fn release(places: &[u32]) {
    locked(|shared| shared.ring.release(places));
}

/// Gives up the attempts of a database that cannot be recorded; returns how many they were.
pub(crate) fn give_up(database: u32) -> u64 {
    locked(|shared| shared.ring.give_up(database)).unwrap_or_default()
}

/// Reports this process for a duty, until it ends; false when somebody else has that duty, or when more
/// workers are there than anybody expected.
pub(crate) fn attend(duty: Duty, database: u32) -> bool {
    // SAFETY: reads a variable of the server that is set in every process with shared memory.
    let latch = unsafe { pg_sys::MyLatch };
    let taken = locked(|shared| {
        if shared.workers.iter().any(|worker| worker.is(duty, database)) {
            return false;
        }
        let free = shared.workers.iter_mut().find(|worker| worker.latch.is_null());
        free.map(|place| *place = Worker { latch, duty: duty as u32, database }).is_some()
    });
    if taken == Some(true) {
        // Called after the last transaction was ended, so that the next worker finds it either done or not.
        // SAFETY: a function that lives as long as the process.
        unsafe { pg_sys::on_shmem_exit(Some(leave_at_exit), pg_sys::Datum::from(0)) };
    }
    taken == Some(true)
}

#[pg_guard]
unsafe extern "C-unwind" fn leave_at_exit(_code: core::ffi::c_int, _argument: pg_sys::Datum) {
    // SAFETY: as in `attend`.
    let latch = unsafe { pg_sys::MyLatch };
    locked(|shared| {
        for worker in shared.workers.iter_mut().filter(|worker| worker.latch == latch) {
            worker.latch = std::ptr::null_mut();
            if let (true, Some(places)) = (worker.duty == Duty::Seal as u32, unsealed()) {
                unsealed::leave(places, worker.database);
            }
        }
        shared.wake(Duty::Launch, 0);
    });
}

/// Gives up the duty of recording or of sealing, unless something came meanwhile.
pub(crate) fn leave_if_done(duty: Duty, database: u32) -> bool {
    let left = locked(|shared| {
        let is_done = match duty {
            Duty::Seal => unsealed().is_none_or(|places| unsealed::is_done(places, database)),
            _ => !shared.ring.databases().contains_key(&database),
        };
        let worker = shared.workers.iter_mut().find(|worker| worker.is(duty, database));
        if let (true, Some(worker)) = (is_done, worker) {
            worker.latch = std::ptr::null_mut();
        }
        is_done
    });
    left.unwrap_or(true)
}

/// Whether somebody has a duty in a database.
pub(crate) fn is_attended(duty: Duty, database: u32) -> bool {
    locked(|shared| shared.workers.iter().any(|worker| worker.is(duty, database))).unwrap_or_default()
}

/// The databases in which somebody has a duty.
pub(crate) fn attended(duty: Duty) -> Vec<u32> {
    let all = locked(|shared| shared.workers.to_vec()).unwrap_or_default();
    all.iter().filter(|worker| worker.is(duty, worker.database)).map(|worker| worker.database).collect()
}

/// Says when a database next wants maintenance, in microseconds since 2000; None: never. False when so many
/// databases do that there is no place for another.
pub(crate) fn schedule(database: u32, at: Option<i64>) -> bool {
    let has_place = locked(|shared| {
        shared.wake(Duty::Launch, 0);
        shared.set_schedule(database, at)
    });
    has_place.unwrap_or_default()
}

/// The same, unless the time of the database has become `kept` meanwhile.
pub(crate) fn schedule_unless(database: u32, at: Option<i64>, kept: i64) -> bool {
    let has_place = locked(|shared| {
        shared.wake(Duty::Launch, 0);
        let mut known = shared.schedules.iter().filter(|schedule| schedule.database == database);
        known.any(|schedule| schedule.at == kept) || shared.set_schedule(database, at)
    });
    has_place.unwrap_or_default()
}

/// The databases that want maintenance some time, with that time.
pub(crate) fn schedules() -> Vec<(u32, i64)> {
    let all = locked(|shared| shared.schedules.to_vec()).unwrap_or_default();
    all.into_iter().filter(|schedule| schedule.database != 0).map(|s| (s.database, s.at)).collect()
}
