//! Every known way around the guard, tried on every version: at a server without the library preloaded,
//! with it, and with the strict lockdown. What got through where stands in docs/attacks.md.
//!
//! A program of its own instead of #[test] functions, because the attacks are files: each line of its output
//! is one attack at one level, judged for everybody who may try it and every kind of table.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Server;

use crate::arena::{Arena, Outcome, complaint};
use crate::case::{Case, Level};
use crate::target::Who;
use crate::world::World;

mod apply;
mod arena;
mod case;
mod judge;
mod os;
mod page;
mod script;
mod target;
mod travel;
mod world;

/// What came of one attack at one level of one version, over all who try it and all targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Refused,
    Harmless,
    Open,
    Broken,
}

/// Name of the attack, version, level.
pub(crate) type Results = BTreeMap<(String, u32, Level), Cell>;

/// What all threads add to.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) results: Results,
    passed: u32,
    failed: u32,
}

impl Report {
    /// Counts and prints one result.
    pub(crate) fn line(&mut self, what: &str, complaints: &[String]) {
        if complaints.is_empty() {
            self.passed += 1;
            println!("{what} ... ok");
        } else {
            self.failed += 1;
            println!("{what} ... FAILED");
            for complaint in complaints {
                println!("    {}", complaint.chars().take(900).collect::<String>().replace('\n', " "));
            }
        }
    }
}

/// What the command line asks for.
struct Asked {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Asked {
    fn parse() -> Self {
        let mut asked = Self { only: Vec::new(), skip: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--skip" {
                asked.skip.extend(arguments.next());
            } else if !argument.starts_with('-') {
                asked.only.push(argument);
            }
        }
        asked
    }

    fn wants(&self, name: &str) -> bool {
        let among = |words: &[String]| words.iter().any(|word| name.contains(word.as_str()));
        (self.only.is_empty() || among(&self.only)) && !among(&self.skip)
    }
}

fn main() -> ExitCode {
    let report = Mutex::new(Report::default());
    if let Err(e) = everything(&report) {
        lock(&report).line("attacks", &[e.to_string()]);
    }
    let report = lock(&report);
    let verdict = if report.failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {} failed", report.passed, report.failed);
    if report.failed == 0 && report.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn everything(report: &Mutex<Report>) -> Result<()> {
    let asked = Asked::parse();
    let all = Case::all()?;
    let cases: Vec<&Case> = all.iter().filter(|case| asked.wants(&case.name)).collect();
    let servers = Server::all()?;
    let versions: Vec<u32> = servers.iter().map(|(version, _)| *version).collect();
    let queue = Mutex::new(versions.clone());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(version) = { lock(&queue).pop() } {
                    if let Err(e) = on_version(&cases, version, &asked, report) {
                        lock(report).line(&format!("{version}"), &[e.to_string()]);
                    }
                }
            });
        }
    });
    let mut report = lock(report);
    if cases.len() == all.len() && asked.wants("page_is_current") {
        let complaints = page::check(&all, &versions, &report.results)?;
        report.line("page_is_current", &complaints);
    }
    Ok(())
}

fn on_version(cases: &[&Case], version: u32, asked: &Asked, report: &Mutex<Report>) -> Result<()> {
    let begin = Instant::now();
    let without = World::start(version, Level::Without)?;
    let mut here: Vec<&Case> =
        cases.iter().copied().filter(|case| case.exists_on(version, &without.extensions)).collect();
    // Those that stop the server come last.
    here.sort_by_key(|case| case.actors.contains(&Who::Os));
    for level in Level::ALL {
        let preloaded;
        let world = match level {
            Level::Without => &without,
            Level::On | Level::Strict => {
                preloaded = World::start(version, level)?;
                &preloaded
            }
        };
        let mut arena = Arena::new(world);
        for case in here.iter().filter(|case| level != Level::Strict || case.needs_strict()) {
            let (cell, complaints) = judge(case, level, &mut arena, &without);
            let mut report = lock(report);
            report.results.insert((case.name.clone(), version, level), cell);
            report.line(&format!("{version} {}: {}", level.name(), case.name), &complaints);
        }
        drop(arena);
    }
    let travellers: Vec<&Case> = here.iter().copied().filter(|case| case.travels).collect();
    if asked.wants("after_restore") {
        travel::restored(&travellers, &without, report)?;
    }
    if version == 16 && asked.wants("between_versions") {
        travel::upgraded(&travellers, 16, 18, report)?;
    }
    println!("{version}: {} s", begin.elapsed().as_secs());
    Ok(())
}

/// One attack by everybody on everything. At the first level it is tried where nothing guards as well.
fn judge(case: &Case, level: Level, arena: &mut Arena<'_>, without: &World) -> (Cell, Vec<String>) {
    let (mut cell, mut complaints) = judge_guarded(case, level, arena, without);
    if level == Level::Without {
        let outcomes = match arena.unprotected(case) {
            Ok(outcomes) => outcomes,
            Err(e) => return (Cell::Broken, vec![e.to_string()]),
        };
        for (who, target, outcome) in outcomes {
            if let Outcome::Broken(why) = outcome {
                cell = Cell::Broken;
                complaints.push(format!("{}, {}: {why}", who.name(), target.name()));
            }
        }
    }
    (cell, complaints)
}

/// One attack by everybody on everything that is guarded.
pub(crate) fn judge_guarded(
    case: &Case,
    level: Level,
    arena: &mut Arena<'_>,
    source: &World,
) -> (Cell, Vec<String>) {
    let mut complaints = Vec::new();
    let outcomes = arena.guarded(case, level, source);
    for (who, target, outcome) in &outcomes {
        if let Some(complaint) = complaint(case, level, source.version, outcome) {
            complaints.push(format!("{}, {}: {complaint}", who.name(), target.name()));
        }
    }
    let any = |wanted: fn(&Outcome) -> bool| outcomes.iter().any(|(.., outcome)| wanted(outcome));
    let cell = if any(|o| matches!(o, Outcome::Open(_))) {
        Cell::Open
    } else if any(|o| matches!(o, Outcome::Broken(_))) {
        Cell::Broken
    } else if any(|o| *o == Outcome::Refused) {
        Cell::Refused
    } else {
        Cell::Harmless
    };
    if matches!(cell, Cell::Refused | Cell::Harmless) && case.open_reason(level, source.version).is_some() {
        complaints.push("its header says that it gets through, which is not so".to_owned());
    }
    (cell, complaints)
}

/// What a thread that panicked has left is printed all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
