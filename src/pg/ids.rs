//! Numbers that every audit row needs: its id, its time, its salt.

use super::events::{self, Stale};
use super::query::{self, Argument};
use super::{acting, names};
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};

/// The sequence `audit.audit_log_id_seq` counts in steps of this many ids; a backend that drew one value owns
/// the ids up to the next.
const IDS_PER_BLOCK: i64 = 32;

const SALT_BYTES: usize = 16;

thread_local! {
    static BLOCK: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
    /// Raised when the ids that this backend owns must not be used any more.
    static FORGOTTEN: RefCell<Option<Stale>> = const { RefCell::new(None) };
    static LAST_TIME: Cell<i64> = const { Cell::new(i64::MIN) };
    static SALTS: RefCell<SaltPool> = const { RefCell::new(SaltPool { owner: 0, used: 0, bytes: [0; 1024] }) };
}

unsafe extern "C-unwind" {
    fn nextval_internal(sequence: pg_sys::Oid, check_permissions: bool) -> i64;
    /// These cannot raise an ERROR, so they need no guard.
    safe fn GetCurrentTimestamp() -> pg_sys::TimestampTz;
    safe fn GetCurrentTransactionStartTimestamp() -> pg_sys::TimestampTz;
    safe fn GetCurrentStatementStartTimestamp() -> pg_sys::TimestampTz;
}

/// The next id of an audit row. Ids rise within a backend; between backends they come in blocks.
pub(crate) fn next_id(sequence: pg_sys::Oid) -> i64 {
    let (next, end) = BLOCK.get();
    let may_be_forgotten = FORGOTTEN.with_borrow(|flag| flag.as_ref().is_some_and(Stale::get));
    if may_be_forgotten {
        listen();
    }
    if next < end && !(may_be_forgotten && is_given_up(next)) {
        BLOCK.set((next + 1, end));
        return next;
    }
    let mut first = draw(sequence);
    // Somebody put the sequence back.
    if first < end {
        first = draw_after(sequence, end);
    }
    BLOCK.set((first + 1, first + IDS_PER_BLOCK));
    first
}

/// Makes sure, before this backend draws its first ids, that they are not used already: the sequence may have been
/// put back. `newest` reads the id of the newest row that is stored.
pub(crate) fn check_sequence(sequence: pg_sys::Oid, newest: impl FnOnce() -> Option<i64>) {
    if BLOCK.get() != (0, 0) {
        return;
    }
    listen();
    let mut first = draw(sequence);
    if let Some(used) = newest().filter(|&used| used >= first) {
        first = draw_after(sequence, used);
    }
    BLOCK.set((first, first + IDS_PER_BLOCK));
}

/// Listens for word about the sequence from now on. About the log itself there is word whenever a month is made.
fn listen() {
    let flag = sequence().map(|sequence| events::listen_for(vec![sequence]));
    FORGOTTEN.with_borrow_mut(|known| *known = flag);
}

/// Whether a life of the ledger has begun that counts ids from a higher one on. A session that was flooded with
/// messages does not know what it missed, so it looks.
fn is_given_up(id: i64) -> bool {
    let schema = names::namespace(c"audit");
    let Some(lives) = schema.and_then(|schema| names::relation(schema, c"ledger_incarnations")) else {
        return false;
    };
    // Whatever stands there must not make a user's statement fail.
    let query = "SELECT FROM audit.ledger_incarnations i WHERE CASE WHEN i.floors ->> '1' ~ '^\\d{1,18}$' \
                 THEN (i.floors ->> '1')::bigint >= $1 END";
    let look = || query::select(query, &[Argument::Number(id)], |_| ());
    !acting::with_latest_snapshot(|| acting::as_owner_of(lives, look)).is_empty()
}

fn sequence() -> Option<pg_sys::Oid> {
    names::namespace(c"audit").and_then(|schema| names::relation(schema, c"audit_log_id_seq"))
}

/// Has every backend look before its next row, as soon as the present transaction is committed, whether its ids are
/// given up.
pub(crate) fn forget_everywhere() {
    if let Some(sequence) = sequence() {
        // SAFETY: sends a message about a relation that exists; an ERROR when it is dropped meanwhile.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(sequence) };
    }
}

fn draw(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: the call may raise an ERROR, so it crosses the guarded boundary; the writer's right to use the
    // sequence does not depend on the user's.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| nextval_internal(sequence, false)) }
}

/// Moves the sequence beyond an id that is used, and draws. Other backends may own the ids of a block after it.
fn draw_after(sequence: pg_sys::Oid, used: i64) -> i64 {
    const BACKENDS: i64 = 1 << 18;
    let value = pg_sys::Datum::from(used.saturating_add(BACKENDS * IDS_PER_BLOCK));
    acting::as_owner_of(sequence, || {
        // SAFETY: a function of the server, called as the server calls it, by the sequence's owner.
        unsafe {
            pgrx::direct_function_call_as_datum(pg_sys::setval_oid, &[Some(sequence.into()), Some(value)])
        }
    });
    draw(sequence)
}

/// The clock in microseconds since 2000-01-01 UTC; never earlier than the last time this backend asked, so
/// that a clock that is set back does not reorder the changes of a session.
pub(crate) fn clock() -> i64 {
    let time = GetCurrentTimestamp().max(LAST_TIME.get());
    LAST_TIME.set(time);
    time
}

/// When the transaction began: what `now()` gives, however long it lasts.
#[inline]
pub(crate) fn transaction_start() -> i64 {
    GetCurrentTransactionStartTimestamp()
}

/// When the client sent its statement; costs no call of the system's clock.
#[inline]
pub(crate) fn statement_start() -> i64 {
    GetCurrentStatementStartTimestamp()
}

struct SaltPool {
    owner: i32,
    used: usize,
    bytes: [u8; 1024],
}

/// Sixteen bytes from the server's strong random source, drawn 64 salts at a time.
pub(crate) fn salt() -> [u8; SALT_BYTES] {
    SALTS.with_borrow_mut(|pool| {
        // SAFETY: reads a variable of the server. A forked process must not repeat its parent's salts.
        let me = unsafe { pg_sys::MyProcPid };
        if pool.owner != me || pool.used + SALT_BYTES > pool.bytes.len() {
            // SAFETY: fills exactly the buffer that it is given.
            let filled =
                unsafe { pg_sys::pg_strong_random(pool.bytes.as_mut_ptr().cast(), pool.bytes.len()) };
            if !filled {
                ereport!(
                    ERROR,
                    PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
                    "could not draw random bytes for an audit row"
                );
            }
            pool.owner = me;
            pool.used = 0;
        }
        let mut salt = [0; SALT_BYTES];
        let spent = &mut pool.bytes[pool.used..pool.used + SALT_BYTES];
        salt.copy_from_slice(spent);
        spent.fill(0);
        pool.used += SALT_BYTES;
        salt
    })
}
