//! Rows and seals from a database: slices of it, on some connections that see the same moment.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use audit_guard_core::ledger::check::Seal;
use audit_guard_core::ledger::header::SealKind;

use super::claims;
use super::slice::{Columns, Months, SliceCheck, changed_fields, roots_at};
use super::tally::{Changed, Tally};
use super::{Outcome, Subject};
use crate::Verify;
use crate::connect::Settings;
use crate::copy::RawRow;
use crate::database::{self, Database, identifier};
use crate::failure::{Failure, Result};
use crate::leaf::{Cell, LeafMaker};
use crate::plan::{Planner, Task};
use crate::progress::Progress;
use crate::report::{Finding, grouped};

/// How many leaves are looked at together. A leaf takes about 100 bytes here.
const SLICE_LEAVES: i64 = 131_072;

impl Columns for RawRow<'_> {
    fn cell(&self, place: Option<usize>) -> Cell<'_> {
        database::cell(self, place)
    }
}

pub(super) fn check(dsn: &str, arguments: &Verify) -> Result<Outcome> {
    let settings = Settings::parse(dsn)?;
    let mut first = Database::open(&settings, None)?;
    let facts = first.facts()?;
    let months = removed_months(&mut first, &facts)?;
    let subject = Subject::new(facts, Some(&first.columns), months, arguments)?;
    let (size, last_seal) = first.size()?;
    let progress = Progress::new(size, "leaves");
    let snapshot = first.snapshot();
    let others = match snapshot {
        // Slices of one connection's work are worth a second one.
        Some(_) if last_seal > 1 && size > 10_000 => arguments.workers.unwrap_or_else(default_workers) - 1,
        _ => 0,
    };
    let columns = first.columns.clone();
    let mut connections = Vec::new();
    for _ in 0..others {
        let mut other = Database::open(&settings, snapshot.as_deref())?;
        other.columns = columns.clone();
        connections.push(other);
    }
    let plan: Mutex<Plan> = Mutex::new((Planner::new(i64::MIN, SLICE_LEAVES), first));
    let mut own = Database::open(&settings, snapshot.as_deref())?;
    own.columns = columns;
    connections.push(own);
    let failed = AtomicBool::new(false);
    let work = |mut database: Database| -> Result<Tally> {
        let mut tally = Tally::default();
        let mut maker = LeafMaker::default();
        while !failed.load(Ordering::Relaxed) {
            let Some(task) = planned(&plan)? else { break };
            let part = slice(&subject, &mut database, &mut maker, &task);
            failed.fetch_or(part.is_err(), Ordering::Relaxed);
            tally.add(part?);
            progress.advance(task.leaves);
        }
        Ok(tally)
    };
    let mut tally = Tally::default();
    for defect in &subject.facts.defects {
        tally.push(Finding::new("unknown_schema", defect.clone()));
    }
    std::thread::scope(|scope| -> Result<()> {
        let running: Vec<_> =
            connections.into_iter().map(|database| scope.spawn(|| work(database))).collect();
        for worker in running {
            let part = worker.join().map_err(|_| Failure::unchecked("a part of the check ended early"))?;
            tally.add(part?);
        }
        Ok(())
    })?;
    drop(progress);
    let (_, mut database) =
        plan.into_inner().map_err(|_| Failure::unchecked("a part of the check ended early"))?;
    let mut remarks = Vec::new();
    let waiting = beyond(&subject, &mut database, &mut tally)?;
    if waiting > 0 {
        remarks.push(format!("{} rows are not sealed yet, so nothing is known about them", grouped(waiting)));
    }
    Ok(Outcome { subject, tally, size, remarks })
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

/// The certificates of removed months, as they stand there.
fn removed_months(database: &mut Database, facts: &crate::facts::Facts) -> Result<Vec<Months>> {
    let mut months = Vec::new();
    let query = "SELECT object, detail::text FROM audit.guard_events WHERE kind = 'partition_expired'";
    database.rows(query, |row| {
        let text = |place| String::from_utf8_lossy(row.field(place).unwrap_or_default()).into_owned();
        let object = text(0);
        let detail = serde_json::from_str(&text(1)).unwrap_or_default();
        let stream = facts.streams.iter().find(|stream| stream.is_called(&object));
        months.extend(stream.and_then(|stream| Months::of(stream.stream_no, &detail)));
        Ok(())
    })?;
    Ok(months)
}

/// The seals that are looked at next, by the connection that plans.
type Plan = (Planner, Database);

fn planned(plan: &Mutex<Plan>) -> Result<Option<Task>> {
    let mut plan = plan.lock().map_err(|_| Failure::unchecked("a part of the check ended early"))?;
    let (planner, database) = &mut *plan;
    planner.next(database)
}

fn slice(subject: &Subject, database: &mut Database, maker: &mut LeafMaker, task: &Task) -> Result<Tally> {
    let mut tally = Tally::default();
    let Some(mut seals) = database.seals(task.first.saturating_sub(1), task.last)? else {
        let detail = format!("seals {} to {}: one of them holds what no seal can", task.first, task.last);
        tally.push(Finding::new("seal_gap", detail));
        return Ok(tally);
    };
    let has_before = seals.first().is_some_and(|seal| seal.seal_no.cast_signed() < task.first);
    let before: Option<Seal> = has_before.then(|| seals.remove(0));
    tally.leaves = seals.iter().map(|seal| u64::from(seal.leaves)).sum();
    claims_of(subject, database, before.as_ref(), &seals, &mut tally)?;
    let Some(mut check) = SliceCheck::begin(subject, maker, before.as_ref(), &seals, &mut tally) else {
        return Ok(tally);
    };
    stored_subtrees(database, &check.subtrees, &mut tally)?;
    // Streams that nobody declared have no table; what is sealed of them is missing.
    let sealed = check.slice.schemas().into_iter().map(|(stream_no, _)| stream_no);
    let declared = subject.facts.streams.iter().map(|stream| stream.stream_no);
    let all: BTreeSet<u16> = sealed.chain(declared).collect();
    let is_taken = |stream_no: &u16| subject.selection.takes(*stream_no, task.oldest_at, task.newest_at);
    let streams: Vec<u16> = all.into_iter().filter(is_taken).collect();
    for &stream_no in &streams {
        if let Some(stream) = subject.facts.stream(stream_no) {
            let spans = check.slice.spans(stream_no);
            database.stream_rows(stream, &spans, false, |head, row| {
                check.row(head, row);
                Ok(())
            })?;
        }
    }
    let (rows, changed) = check.finish(&streams);
    tally.add(rows);
    name_fields(subject, database, &seals, &changed, &mut tally)?;
    Ok(tally)
}

/// Compares the roots that somebody vouches for with those of these leaves.
fn claims_of(
    subject: &Subject,
    database: &mut Database,
    before: Option<&Seal>,
    seals: &[Seal],
    tally: &mut Tally,
) -> Result<()> {
    let from = before.map_or(0, |before| before.size_after);
    let to = seals.last().map_or(from, |last| last.first_leaf + u64::from(last.leaves));
    let stored = claims::stored(database, from, to)?;
    let given = subject.claims.iter().enumerate().filter(|(_, claim)| claim.size > from && claim.size <= to);
    let given: Vec<_> = given.collect();
    let sizes: Vec<u64> =
        stored.iter().chain(given.iter().map(|(_, claim)| *claim)).map(|claim| claim.size).collect();
    if sizes.is_empty() {
        return Ok(());
    }
    let roots = roots_at(before, seals, &sizes);
    for (place, claim) in given {
        tally.claims.insert(place, roots.get(&claim.size) == Some(&claim.root));
    }
    for claim in &stored {
        if let Some(finding) = claims::judge_stored(claim, roots.get(&claim.size), &subject.facts) {
            tally.push(finding);
        }
    }
    Ok(())
}

/// Compares the stored roots of complete subtrees, from which the database makes its proofs.
fn stored_subtrees(
    database: &mut Database,
    expected: &[(u8, u64, [u8; 32])],
    tally: &mut Tally,
) -> Result<()> {
    let levels: BTreeSet<u8> = expected.iter().map(|(level, ..)| *level).collect();
    for level in levels {
        let own: Vec<_> = expected.iter().filter(|(other, ..)| *other == level).collect();
        let (Some((_, first, _)), Some((_, last, _))) = (own.first(), own.last()) else { continue };
        let query = format!(
            "SELECT index, hash FROM audit.ledger_subtrees \
             WHERE level = {level} AND index BETWEEN {first} AND {last} ORDER BY index"
        );
        let mut stored = Vec::new();
        database.rows(&query, |row| {
            stored.push((row.bigint(0), row.field(1).map(<[u8]>::to_vec)));
            Ok(())
        })?;
        for (_, index, hash) in own {
            let place = stored.binary_search_by_key(&Some(index.cast_signed()), |(index, _)| *index);
            let there = place.ok().and_then(|place| stored.get(place)).and_then(|(_, hash)| hash.as_deref());
            if there != Some(hash) {
                let what =
                    format!("the stored root of subtree {index} at level {level} is not that of its leaves");
                tally.push(Finding::new("tree_mismatch", what));
            }
        }
    }
    Ok(())
}

/// Tells which fields of changed rows are others, as far as the bytes that are kept beside the leaves tell.
fn name_fields(
    subject: &Subject,
    database: &mut Database,
    seals: &[Seal],
    changed: &[Changed],
    tally: &mut Tally,
) -> Result<()> {
    for row in changed {
        let seal = seals.iter().find(|seal| {
            (seal.first_leaf..seal.first_leaf + u64::from(seal.leaves)).contains(&row.leaf_index)
        });
        let Some(seal) = seal else { continue };
        let mut hints = Vec::new();
        let query = format!("SELECT hints FROM audit.seals WHERE seal_no = {}", seal.seal_no);
        database.rows(&query, |row| {
            hints = row.field(0).unwrap_or_default().to_vec();
            Ok(())
        })?;
        let Some(fields) = changed_fields(seal, &hints, row, |no| {
            subject.schemas.get(&no).map_or(0, |known| known.schema.fields.len())
        }) else {
            continue;
        };
        let own = tally.findings.iter_mut().find(|finding| {
            finding.leaf_index == Some(row.leaf_index)
                && finding.code == "modified"
                && finding.field.is_none()
        });
        if let Some(finding) = own {
            finding.field = Some(fields.join(", "));
            finding.detail = "the stored value does not match its commitment".to_owned();
        }
    }
    Ok(())
}

/// Looks at what is behind the windows: rows that wait to be sealed, and rows that no window can reach, such
/// as those with the number of a transaction that never was. Returns how many wait.
fn beyond(subject: &Subject, database: &mut Database, tally: &mut Tally) -> Result<u64> {
    let last = database.last_seal()?;
    tally.events.extend(database.unsealed_excuses(&subject.facts, last.as_ref())?);
    closing_rows(database, tally)?;
    database.read_tables_whole()?;
    let mut waiting = 0;
    for stream in &subject.facts.streams {
        let is_other = subject.selection.stream_no.is_some_and(|wanted| wanted != stream.stream_no);
        let columns = database.columns.get(&stream.stream_no).map(Vec::as_slice).unwrap_or_default();
        let has = |name: &str| columns.iter().any(|column| column == name);
        if is_other || !has("transaction_id") || !has(&stream.number_column) {
            continue;
        }
        let table = format!("{}.{}", identifier(&stream.table_schema), identifier(&stream.table_name));
        let condition = database::unsealed(&subject.facts, last.as_ref(), stream);
        let (mut all, mut own_waiting) = (0, 0);
        let query = format!("SELECT count(*), count(*) FILTER (WHERE {condition}) FROM {table} r");
        database.rows(&query, |row| {
            let count = |place| row.bigint(place).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            (all, own_waiting) = (count(0), count(1));
            Ok(())
        })?;
        waiting += own_waiting;
        let Some(last) = &last else { continue };
        // Between a new life's beginning and the end of its first batch, what counts as waiting is not known
        // here.
        let newest = subject.facts.incarnations.iter().map(|known| known.incarnation).max();
        let is_between =
            newest != Some(last.incarnation) || (last.kind == SealKind::Closing && !last.is_last);
        if !subject.selection.is_everything() || is_between || !last.is_last {
            continue;
        }
        let matched = tally.matched.get(&stream.stream_no).copied().unwrap_or(0);
        let known = tally.orphans.iter().filter(|orphan| orphan.stream_no == stream.stream_no).count() as u64;
        if let Some(extra) = all.checked_sub(matched + own_waiting + known).filter(|extra| *extra > 0) {
            let detail = format!("{} rows are in no seal, and no window reaches them", grouped(extra));
            tally.push(Finding { stream: Some(stream.name.clone()), ..Finding::new("orphan", detail) });
        }
    }
    Ok(waiting)
}

/// Takes from the orphans what the first batch of a later life sealed.
fn closing_rows(database: &mut Database, tally: &mut Tally) -> Result<()> {
    if tally.orphans.is_empty() {
        return Ok(());
    }
    let mut closing = Vec::new();
    database.rows("SELECT seal_no FROM audit.seals WHERE kind = 1 ORDER BY seal_no", |row| {
        closing.extend(row.bigint(0));
        Ok(())
    })?;
    for seal_no in closing {
        for seal in database.seals(seal_no, seal_no)?.unwrap_or_default() {
            for entry in seal.rows().unwrap_or_default() {
                let (stream_no, transaction_id, number) = entry.key();
                tally.orphans.remove(&super::tally::Orphan { stream_no, transaction_id, number });
            }
        }
    }
    Ok(())
}
