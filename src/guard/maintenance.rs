//! Maintenance on a schedule by our own worker: makes partitions, and removes what has expired.
//!
//! The schedule is a row of audit.maintenance_schedule. A worker visits each database when the server starts,
//! and whenever that table was changed, and tells the launcher when to start it again.

use crate::pg::call::text_function;
use crate::pg::shared::{self, Duty};
use crate::pg::trigger::TriggerCall;
use crate::pg::{encoding, errors, log, names, session, unsealed, worker};
use crate::settings;
use audit_guard_core::schedule;
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;
use std::cell::Cell;
use std::time::Duration;

worker::worker_function!(audit_guard_maintain, maintain);

crate::pg::trigger::trigger_function!(
    audit_announce_schedule,
    pg_finfo_audit_announce_schedule,
    TriggerCall::new,
    announce_schedule
);

/// In place of a time: the database has been told to be looked at.
pub(super) const TOLD: i64 = i64::MIN;
/// When a database is looked at again whose worker could not even find out when.
const RETRY: i64 = 60_000_000;

thread_local! {
    static CHANGED: Cell<bool> = const { Cell::new(false) };
}

/// How long it is until then; None when the time has come.
pub(super) fn time_until(at: i64) -> Option<Duration> {
    let micros = u64::try_from(at.saturating_sub(session::now())).ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

/// A worker is about to be started for this database and will say itself when it wants the next one. What the
/// database is told from now on, the worker may not see any more. Returns when it was due, if it was.
pub(super) fn postpone(database: u32) -> Option<i64> {
    let due = shared::schedules().into_iter().find(|(known, _)| *known == database).map(|(_, at)| at);
    if due.is_some() {
        shared::schedule(database, Some(session::now() + RETRY));
    }
    due
}

/// No worker could be started: it is due as before.
pub(super) fn resume(database: u32, due: Option<i64>) {
    if due.is_some() {
        shared::schedule_unless(database, due, TOLD);
    }
}

fn maintain(argument: Datum) {
    let (database, only_looks) = worker::begin(Duty::Maintain, argument);
    if !shared::attend(Duty::Maintain, database) {
        return;
    }
    let schedule = worker::transaction(c"reading the schedule", || {
        let has_extension = worker::has_extension();
        if !has_extension {
            return Vec::new();
        }
        // Rows that a server that was stopped did not seal.
        unsealed::announce();
        text_function(c"_maintenance_schedule", [])
    });
    let next = match schedule.as_slice() {
        [] => None,
        text => schedule::next_run(&encoding::to_utf8(text), session::now()).ok(),
    };
    // A schedule that was decided on since it was read is looked at by the next worker.
    if !shared::schedule_unless(database, next, TOLD) {
        log::line(&format!(
            "audit_guard: no maintenance in database {database}: too many databases have a schedule"
        ));
    }
    let Some(next) = next.filter(|_| !only_looks) else { return };
    step("partitions");
    // One bounded step per transaction. The next time begins with partitions again. Sessions come first: they
    // take seconds, and what has expired can take longer than there is time.
    for kind in ["sessions", "retention"] {
        while step(kind) && time_until(next).is_some() {
            if worker::transaction(c"maintenance", || worker::is_wanted(database)) {
                return;
            }
            worker::nap(Duty::Maintain, Duration::ZERO);
        }
    }
}

/// Whether there is more to do of this kind.
fn step(kind: &str) -> bool {
    let more = worker::transaction(c"maintenance", || text_function(c"_maintain", [kind.as_bytes()]));
    more == b"more"
}

/// The trigger on audit.maintenance_schedule: whoever changes it, be it a restore, it counts from the end of
/// the transaction on.
fn announce_schedule(_call: &TriggerCall) {
    CHANGED.set(true);
}

/// Whether it was committed or not, looking does no harm.
pub(super) fn end_transaction() {
    if CHANGED.take() {
        shared::schedule(session::database().to_u32(), Some(TOLD));
    }
}

/// The first time after now that a schedule means; an ERROR for what is none.
#[pg_extern(sql = false, stable)]
fn next_run(schedule: &str) -> TimestampWithTimeZone {
    let next = schedule::next_run(schedule, session::now())
        .and_then(|micros| TimestampWithTimeZone::try_from(micros).map_err(|_| "there is no such time"));
    next.unwrap_or_else(|why| {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("schedule \"{schedule}\" is not valid: {why}"),
            Some("minute hour day month weekday, in UTC: SELECT audit.schedule_maintenance('*/5 * * * *');"),
        )
    })
}

/// Whether our own worker maintains this database when it has a schedule.
#[pg_extern(sql = false, stable)]
fn maintains_here() -> bool {
    session::is_preloaded() && settings::works_in(&names::database(session::database()))
}
