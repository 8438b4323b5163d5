//! The sealer: puts the rows of a database under a seal, a moment after they were committed.
//!
//! A commit that wrote to a stream leaves a mark in shared memory. The launcher starts a sealer for a
//! database that has a mark; it stays while there is work. It may end at any moment: each chunk is a
//! transaction, and the next sealer goes on after the last one.

use crate::pg::call::text_function;
use crate::pg::shared::{self, Duty};
use crate::pg::worker::{self, Database, Handle};
use crate::pg::{encoding, log, names, session, unsealed};
use crate::settings;
use pgrx::pg_sys::Datum;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

worker::worker_function!(audit_guard_seal, seal);

/// Sealers at the same time in different databases; more databases take turns.
const SEALERS: usize = 3;
/// How long one with work stays when others wait for their turn.
const TURN: Duration = Duration::from_millis(250);
/// How long one waits for more, so that not every single commit starts a process.
const STAY: Duration = Duration::from_secs(5);
/// How often it looks whether somebody wants the database for themselves.
const LOOK: Duration = Duration::from_millis(100);
/// The time between two seals when somebody waits for the next one.
const HURRY: Duration = Duration::from_millis(50);
/// How soon the launcher looks again for what could not be done at once, and how late for what can wait.
const SOON: Duration = Duration::from_millis(250);
const REST: Duration = Duration::from_secs(60);

/// The sealers that the launcher has started, by database, with when it last did.
#[derive(Default)]
pub(crate) struct Sealers(BTreeMap<u32, (Option<Handle>, Instant)>);

impl Sealers {
    /// Starts sealers where rows wait; returns when to look again.
    pub(crate) fn start(&mut self, databases: &BTreeMap<u32, Database>) -> Duration {
        for (handle, _) in self.0.values_mut() {
            if handle.as_ref().is_some_and(Handle::has_ended) {
                *handle = None;
            }
        }
        self.0.retain(|oid, (handle, _)| handle.is_some() || databases.contains_key(oid));
        let mut pause = REST;
        let mut due = Vec::new();
        for unsealed::Waiting { database, failures } in unsealed::waiting() {
            let Some(known) = databases.get(&database) else {
                unsealed::forget(database);
                continue;
            };
            let last = self.0.get(&database);
            if !settings::works_in(&known.name) {
                unsealed::stop(database);
                continue;
            }
            if last.is_some_and(|(handle, _)| handle.is_some()) {
                continue;
            }
            let at = last.map(|(_, at)| *at);
            match at.and_then(|at| rest(failures).checked_sub(at.elapsed())) {
                Some(time) if !time.is_zero() => pause = pause.min(time),
                _ => due.push((at, database)),
            }
        }
        // Who waited longest comes first.
        due.sort_unstable();
        for (_, database) in due {
            let at_work = self.0.values().filter(|(handle, _)| handle.is_some()).count();
            let handle = if at_work < SEALERS && !is_wanted(database) {
                worker::start(Duty::Seal, database, false)
            } else {
                None
            };
            match handle {
                None => pause = pause.min(SOON),
                handle => _ = self.0.insert(database, (handle, Instant::now())),
            }
        }
        pause
    }
}

/// How long a database whose sealer failed is left alone: a second, then twice as long each time. The
/// server's log says why; it need not say so all the time.
fn rest(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 1).min(6)).min(REST),
    }
}

fn is_wanted(database: u32) -> bool {
    worker::transaction(c"looking whether a database is wanted", || worker::is_wanted(database))
}

/// What became of one look at the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// A whole chunk was written, and there is more.
    More,
    /// What was committed meanwhile may not be among what was sealed, or somebody else was sealing.
    Again,
    Idle,
    /// Nothing can be sealed here for now.
    Over,
}

fn seal(argument: Datum) {
    let (database, _) = worker::begin(Duty::Seal, argument);
    if !shared::attend(Duty::Seal, database) {
        return;
    }
    let began = Instant::now();
    let (mut last_work, mut last_look, mut last_beat) = (began, began, began);
    let mut last_seal = None;
    let mut step = Step::Idle;
    loop {
        if step == Step::More || until_due(database, last_seal) == Some(Duration::ZERO) {
            unsealed::begin(database);
            last_seal = Some(Instant::now());
            step = seal_chunk(database);
            match step {
                Step::More => {}
                Step::Over => return,
                Step::Again => unsealed::look_again(database),
                Step::Idle => unsealed::finish(database),
            }
            if step != Step::Idle {
                last_work = Instant::now();
            }
        } else if last_work.elapsed() >= STAY && shared::leave_if_done(Duty::Seal, database) {
            return;
        }
        if settings::heartbeat().is_some_and(|pace| last_beat.elapsed() >= pace) {
            last_beat = Instant::now();
            worker::transaction(c"sealing", || text_function(c"_seal_heartbeat", []));
        }
        if last_look.elapsed() >= LOOK {
            last_look = Instant::now();
            if is_wanted(database) || (began.elapsed() >= TURN && others_wait(database)) {
                return unsealed::put_off(database);
            }
        }
        // A chunk may follow at once; what is due in less than a millisecond still takes one.
        let pause = match until_due(database, last_seal) {
            _ if step == Step::More => Duration::ZERO,
            time => LOOK.min(time.unwrap_or(LOOK)).max(Duration::from_millis(1)),
        };
        worker::nap(Duty::Seal, pause);
    }
}

/// How long it is until the next seal is due; None when no rows wait for it.
fn until_due(database: u32, last_seal: Option<Instant>) -> Option<Duration> {
    let (waits, hurries) = unsealed::is_waiting(database);
    let pace = settings::seal_interval();
    let pace = if hurries { pace.min(HURRY) } else { pace };
    waits.then(|| last_seal.map_or(Duration::ZERO, |at| pace.saturating_sub(at.elapsed())))
}

/// Whether there is no room for a sealer in another database that has rows waiting.
fn others_wait(database: u32) -> bool {
    let attended = shared::attended(Duty::Seal);
    attended.len() >= SEALERS
        && unsealed::waiting()
            .iter()
            .any(|other| other.database != database && !attended.contains(&other.database))
}

fn seal_chunk(database: u32) -> Step {
    let (result, name) = worker::transaction(c"sealing", || {
        if worker::has_extension() {
            (text_function(c"_seal_chunk", []), names::database(session::database()))
        } else {
            (Vec::new(), String::new())
        }
    });
    let result = encoding::to_utf8(&result);
    match result.split([' ', ':']).next() {
        Some("more") => Step::More,
        Some("done" | "busy") => Step::Again,
        Some("idle") => Step::Idle,
        Some("stopped") => {
            let why = result.trim_start_matches("stopped:").trim();
            log::line(&format!(
                "audit_guard: nothing more is sealed in database {name}: {why}; to go on: \
                 SELECT audit.declare_discontinuity('reason');"
            ));
            unsealed::stop(database);
            Step::Over
        }
        // The extension is not, or no longer, installed there.
        _ => {
            unsealed::finish(database);
            Step::Over
        }
    }
}
