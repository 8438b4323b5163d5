//! Takes refused attempts to audit.denied_attempts.
//!
//! Whoever refuses puts the attempt into shared memory, because its own transaction is about to be rolled
//! back. One process, which is connected to no database, starts another for each database that has attempts
//! waiting; it stays while there is work. Either may end at any moment: what waits, waits for the next one.

use super::maintenance;
use crate::ledger::worker::Sealers;
use crate::pg::call::text_function;
use crate::pg::shared::{self, Duty};
use crate::pg::worker::{self, Database, Handle};
use crate::pg::{encoding, log, types};
use crate::settings;
use audit_guard_core::denials::Waiting;
use pgrx::pg_sys::Datum;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

worker::worker_function!(audit_guard_launch, launch);
worker::worker_function!(audit_guard_record, record);

/// Attempts that one transaction writes.
const BATCH: usize = 200;
/// How long a recorder waits for more, so that not every single attempt starts a process.
const STAY: Duration = Duration::from_secs(5);
/// How often it looks whether somebody wants the database for themselves.
const LOOK: Duration = Duration::from_millis(100);
/// How often the launcher looks for new databases when nobody wakes it.
const REST: Duration = Duration::from_secs(60);
/// How soon it looks again for what could not be done at once.
const SOON: Duration = Duration::from_millis(250);
/// Maintenance at the same time in different databases.
const MAINTAINERS: usize = 2;

/// What the launcher started, by duty and database.
type Started = BTreeMap<(Duty, u32), Start>;

struct Start {
    handle: Handle,
    at: Instant,
    /// The oldest attempt that was waiting then.
    oldest: u64,
    /// How often in a row that attempt was still waiting when a recorder had ended.
    failures: u32,
}

fn launch(argument: Datum) {
    worker::begin(Duty::Launch, argument);
    // One that returned would not be started again.
    while !shared::attend(Duty::Launch, 0) {
        worker::nap(Duty::Launch, SOON);
    }
    let mut started = Started::new();
    let mut visited = BTreeSet::new();
    let mut sealers = Sealers::default();
    loop {
        let pause = round(&mut started, &mut visited, &mut sealers);
        worker::nap(Duty::Launch, pause);
    }
}

/// Starts what is to be started; returns how long nothing else is to be done.
fn round(started: &mut Started, visited: &mut BTreeSet<u32>, sealers: &mut Sealers) -> Duration {
    let all = worker::transaction(c"looking for databases", worker::databases);
    let databases: BTreeMap<u32, Database> = all.into_iter().map(|known| (known.oid, known)).collect();
    let mut pause = REST.min(sealers.start(&databases));
    for (oid, oldest) in shared::waiting() {
        match databases.get(&oid) {
            None => give_up(oid, "the database no longer exists"),
            Some(database) if !settings::works_in(&database.name) => {
                give_up(oid, "audit_guard.databases does not name the database");
            }
            Some(_) => pause = pause.min(start_recorder(started, oid, oldest)),
        }
    }
    // What has ended is remembered as long as it might have failed.
    started.retain(|(duty, _), start| {
        !start.handle.has_ended() || (*duty == Duty::Record && start.at.elapsed() < REST)
    });
    visited.retain(|oid| databases.contains_key(oid));
    let is_new = |database: &&Database| {
        let is_ours = database.allows_connections && !database.is_template;
        is_ours && settings::works_in(&database.name) && !visited.contains(&database.oid)
    };
    let mut due: Vec<(u32, bool)> = databases.values().filter(is_new).map(|new| (new.oid, true)).collect();
    for (oid, at) in shared::schedules() {
        if !databases.get(&oid).is_some_and(|database| settings::works_in(&database.name)) {
            shared::schedule(oid, None);
            continue;
        }
        match maintenance::time_until(at) {
            None => due.push((oid, at == maintenance::TOLD)),
            Some(time) => pause = pause.min(time),
        }
    }
    for (oid, only_looks) in due {
        if start_maintenance(started, oid, only_looks) {
            visited.insert(oid);
        } else {
            pause = pause.min(SOON);
        }
    }
    pause
}

/// Starts a recorder unless there is one; returns when to look again.
fn start_recorder(started: &mut Started, database: u32, oldest: u64) -> Duration {
    if shared::is_attended(Duty::Record, database) {
        return REST;
    }
    let key = (Duty::Record, database);
    let failures = match started.get(&key) {
        Some(before) if !before.handle.has_ended() => return SOON,
        Some(before) if before.oldest == oldest => before.failures + 1,
        _ => 0,
    };
    // The server's log says why; it need not say so again and again.
    let rests = failures > 0
        && started.get(&key).is_some_and(|b| b.at.elapsed() < Duration::from_secs(1 << failures.min(5)));
    if !rests
        && !is_wanted(database)
        && let Some(handle) = worker::start(Duty::Record, database, false)
    {
        started.insert(key, Start { handle, at: Instant::now(), oldest, failures });
    }
    SOON
}

/// Starts a worker that reads the schedule of a database and, unless it only looks, does what is to be done;
/// false when that must wait.
fn start_maintenance(started: &mut Started, database: u32, only_looks: bool) -> bool {
    let key = (Duty::Maintain, database);
    let at_work = started.keys().filter(|(duty, _)| *duty == Duty::Maintain).count();
    if at_work >= MAINTAINERS || started.contains_key(&key) || is_wanted(database) {
        return false;
    }
    let due = maintenance::postpone(database);
    let Some(handle) = worker::start(Duty::Maintain, database, only_looks) else {
        maintenance::resume(database, due);
        return false;
    };
    started.insert(key, Start { handle, at: Instant::now(), oldest: 0, failures: 0 });
    true
}

fn is_wanted(database: u32) -> bool {
    worker::transaction(c"looking whether a database is wanted", || worker::is_wanted(database))
}

fn give_up(database: u32, why: &str) {
    let attempts = shared::give_up(database);
    if attempts > 0 {
        log::line(&format!(
            "audit_guard: {attempts} refused attempts in database {database} are in this log only: {why}"
        ));
    }
}

fn record(argument: Datum) {
    let (database, _) = worker::begin(Duty::Record, argument);
    if !shared::attend(Duty::Record, database) {
        return;
    }
    let (mut last_work, mut last_look) = (Instant::now(), Instant::now());
    loop {
        let worked = write_batch(database);
        if worked {
            last_work = Instant::now();
        } else if last_work.elapsed() >= STAY && shared::leave_if_done(Duty::Record, database) {
            return;
        }
        if last_look.elapsed() >= LOOK {
            last_look = Instant::now();
            if is_wanted(database) {
                return;
            }
        }
        worker::nap(Duty::Record, if worked { Duration::ZERO } else { LOOK });
    }
}

/// Writes the oldest attempts that wait; false when there are none.
///
/// Each is written exactly once, also when this process is killed at any moment: before the transaction is
/// committed, shared memory learns its number, and whoever comes next asks the server what became of it.
fn write_batch(database: u32) -> bool {
    let pending = shared::pending(database, BATCH);
    if pending.is_empty() {
        return false;
    }
    let places = |all: &[(u32, Waiting)]| all.iter().map(|(place, _)| *place).collect::<Vec<_>>();
    let written = worker::transaction(c"recording refused attempts", || {
        if !worker::has_extension() {
            give_up(database, "the extension is not installed there");
            return Vec::new();
        }
        let (done, todo): (Vec<_>, Vec<_>) = pending
            .iter()
            .cloned()
            .partition(|(_, waiting)| waiting.written_by.is_some_and(worker::has_committed));
        shared::release(&places(&done));
        if !todo.is_empty() {
            let rows: Vec<Value> = todo.iter().map(|(_, waiting)| row(waiting)).collect();
            text_function(c"_record_denied", [&encoding::from_utf8(&Value::from(rows).to_string())]);
            // Else a transaction after a crash could have the same number.
            worker::make_number_lasting();
            shared::mark(&places(&todo), worker::transaction_id());
        }
        places(&todo)
    });
    shared::release(&written);
    true
}

/// What audit._record_denied expects of an attempt.
fn row(waiting: &Waiting) -> Value {
    let attempt = &waiting.attempt;
    let known = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    json!({
        "attempted_at": types::utc_iso(attempt.attempted_at),
        "layer": attempt.layer,
        "command": attempt.command,
        "object": known(&attempt.object),
        "actor_id": known(&attempt.actor_id),
        "actor_role": attempt.actor_role,
        "login_role": attempt.login_role,
        "client_ip": known(&attempt.client_ip),
        "application_name": known(&attempt.application_name),
        "lost_before": waiting.lost_before,
    })
}
