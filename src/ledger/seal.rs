//! Sealing: the rows of the transactions that finished since the last batch become leaves.
//!
//! A batch is fixed by two snapshots, the one of the batch before and one that is taken under a lock; so no row is
//! in two batches, none is left out, and nobody who writes has to wait. A batch may be sealed in several steps, each
//! with a transaction of its own.

use super::rows;
use super::store::{self, Incarnation};
use super::stream::{LeafMaker, RowPlace, Rows};
use crate::pg::query::select;
use crate::pg::{acting, errors, sealing, session};
use audit_guard_core::ledger::check::{Key, Seal, Span, span_around, window_spans};
use audit_guard_core::ledger::entries::{EntriesWriter, Entry, month_of};
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::header::SealKind;
use audit_guard_core::ledger::snapshot::Window;
use audit_guard_core::ledger::tree::Frontier;
use audit_guard_core::ledger::value::time_from_2000;
use pgrx::prelude::*;
use std::collections::HashSet;
use std::rc::Rc;

/// Rows of one seal: with its own leaf it fills 256 tiles.
const SEAL_ROWS: usize = 65_535;
/// Seals that one call of `audit.seal()` makes at most, so that it ends in a foreseeable time.
const SEALS_PER_CALL: usize = 16;

/// The snapshot in which no transaction had finished: the first batch takes whatever is there.
const BEFORE_ALL: &str = "1:1:";

/// What a step came to.
#[derive(PartialEq, Eq)]
enum Outcome {
    /// There was nothing to seal.
    Idle,
    /// Somebody else is at it.
    Busy,
    /// There may be more.
    More,
    /// The batch is complete; so many rows were sealed.
    Done(usize),
    /// This database must not go on, and why.
    Stopped(String),
}

/// Seals what has been committed, at most about a million rows, and returns the size of the tree.
///
/// Errors: 55000 where the transaction must not seal, or the database is not the one that sealed last; 25006 on
/// a standby; 0A000 where the encoding is not UTF8.
#[pg_extern(sql = false)]
fn seal() -> i64 {
    if let Some((code, message, hint)) = sealing::obstacle() {
        errors::raise(code, message, Some(hint));
    }
    let mut snapshot = None;
    for _ in 0..SEALS_PER_CALL {
        match step(true, false, &mut snapshot) {
            Outcome::More => {}
            Outcome::Stopped(why) => errors::raise(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                &format!("audit_guard does not go on sealing here: {why}"),
                Some("SELECT audit.declare_discontinuity('what happened');"),
            ),
            _ => break,
        }
    }
    acting::with_latest_snapshot(store::newest_seal).map_or(0, |seal| seal.size_after.cast_signed())
}

/// The same for the worker: one step, which waits for nobody. Returns `idle`, `busy`, `more`, `done` and how many
/// rows, or `stopped:` and why.
#[pg_extern(sql = false)]
fn seal_chunk() -> String {
    told(false)
}

/// Seals also when there are no rows, so that everybody sees that sealing goes on.
#[pg_extern(sql = false)]
fn seal_heartbeat() -> String {
    told(true)
}

fn told(beats: bool) -> String {
    let outcome = match sealing::obstacle() {
        Some((_, message, _)) => Outcome::Stopped(message.to_owned()),
        None => step(false, beats, &mut None),
    };
    match outcome {
        Outcome::Idle => "idle".to_owned(),
        Outcome::Busy => "busy".to_owned(),
        Outcome::More => "more".to_owned(),
        Outcome::Done(rows) => format!("done {rows}"),
        Outcome::Stopped(why) => format!("stopped: {why}"),
    }
}

/// A batch, and how far it was sealed.
struct Batch {
    number: u64,
    chunk: u32,
    incarnation: u32,
    origin: String,
    kind: SealKind,
    window: Window,
    after: Option<Key>,
}

/// One seal. The snapshot of the first one serves all that the transaction makes: once it has a number, it would
/// miss itself in another.
fn step(waits: bool, beats: bool, snapshot: &mut Option<String>) -> Outcome {
    if !sealing::lock(waits) {
        return Outcome::Busy;
    }
    acting::with_latest_snapshot(|| {
        locked_step(waits, beats, snapshot.get_or_insert_with(store::snapshot_now))
    })
}

fn locked_step(waits: bool, beats: bool, snapshot: &str) -> Outcome {
    let newest = store::newest_seal();
    match go_on_here(newest.as_ref(), waits) {
        Err(why) => return Outcome::Stopped(why),
        Ok(false) => return Outcome::Idle,
        Ok(true) => {}
    }
    // One that has begun just now is to be seen, too.
    let lives = acting::with_latest_snapshot(store::incarnations);
    let Some(life) = lives.first() else { return Outcome::Idle };
    let batch = next_batch(newest.as_ref(), life, snapshot);
    // A batch that was begun, or that tells of a new life, is ended also without rows.
    let must = beats || batch.kind == SealKind::Closing || batch.chunk > 0;
    if !must && !rows::all_known().iter().any(|rows| has_rows(&batch, life, rows)) {
        return Outcome::Idle;
    }
    let mut chunk = Chunk { maker: LeafMaker::with_hints(), ..Chunk::default() };
    for rows in rows::current() {
        chunk.add_stream(&batch, life, &rows);
        if chunk.is_full {
            break;
        }
    }
    let count = chunk.entries.rows() as usize;
    // The closing batch of a life is followed by what was written since.
    let has_more = chunk.is_full || batch.kind == SealKind::Closing;
    chunk.store(batch, newest.as_ref());
    sealing::commit_durably();
    if has_more { Outcome::More } else { Outcome::Done(count) }
}

/// Begins the first life of this database, or notes that it was upgraded; false when it is not time yet. An error
/// tells why another database sealed last.
fn go_on_here(newest: Option<&Seal>, was_asked: bool) -> Result<bool, String> {
    let identity = select("SELECT i.state, i.why FROM audit._identity() i", &[], |row| {
        (store::text(row, 1), store::text(row, 2))
    });
    let (state, why) = identity.into_iter().next().unwrap_or_default();
    match state.as_str() {
        // A restore that is under way brings a ledger of its own, and must find no other.
        "none" if !was_asked && !acting::has_own_events() => return Ok(false),
        "none" => store::begin_incarnation("first", None, BEFORE_ALL),
        "upgraded" => {
            let snapshot = newest.map_or(BEFORE_ALL, |seal| seal.snapshot.as_str());
            store::begin_incarnation("upgraded", Some("the cluster was upgraded by pg_upgrade"), snapshot);
        }
        "same" => {}
        _ => return Err(why),
    }
    Ok(true)
}

/// The batch that is open, or the one that follows.
fn next_batch(newest: Option<&Seal>, life: &Incarnation, snapshot: &str) -> Batch {
    let number = newest.map_or(1, |seal| seal.batch + 1);
    let incarnation = u32::try_from(life.number).unwrap_or(u32::MAX);
    let is_own = |seal: &&Seal| seal.incarnation == incarnation || !life.was_declared;
    let window = |prev: &str, next: &str| {
        let parsed = [prev, next].map(audit_guard_core::ledger::snapshot::Snapshot::parse);
        let [Ok(prev), Ok(next)] = parsed else {
            errors::raise(
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                "the snapshot of the newest seal cannot be read",
                Some("SELECT * FROM audit.verify();"),
            )
        };
        Window { prev, next }
    };
    let new = |kind, window| Batch {
        number,
        chunk: 0,
        incarnation,
        origin: life.origin.clone(),
        kind,
        window,
        after: None,
    };
    match newest.filter(is_own) {
        Some(seal) if !seal.is_last => Batch {
            number: seal.batch,
            chunk: seal.chunk + 1,
            incarnation: seal.incarnation,
            origin: seal.origin.clone(),
            kind: seal.kind,
            window: window(&seal.prev_snapshot, &seal.snapshot),
            after: seal.last_row().map(|row| row.key()),
        },
        Some(seal) => new(SealKind::Window, window(&seal.snapshot, snapshot)),
        None if life.was_declared => {
            new(SealKind::Closing, window(&life.start_snapshot, &life.start_snapshot))
        }
        None => new(SealKind::Window, window(&life.start_snapshot, snapshot)),
    }
}

fn belongs(batch: &Batch, life: &Incarnation, stream_no: u16, place: RowPlace) -> bool {
    let floor = life.floors.get(&stream_no).copied().unwrap_or(i64::MIN);
    let transaction = u64::try_from(place.position.0);
    transaction.is_ok_and(|transaction| batch.window.contains(transaction)) && place.position.1 > floor
}

fn has_rows(batch: &Batch, life: &Incarnation, rows: &Rows) -> bool {
    let stream_no = rows.schema.stream_no;
    let mut found = false;
    for span in window_spans(&batch.window, stream_no, batch.after, None) {
        rows.read(span, |place, _| {
            found = belongs(batch, life, stream_no, place);
            !found
        });
        if found {
            break;
        }
    }
    found
}

/// The leaves of one seal.
#[derive(Default)]
struct Chunk {
    maker: LeafMaker,
    entries: EntriesWriter,
    hashes: Vec<Hash>,
    hints: Vec<u8>,
    oldest: Option<i64>,
    newest: Option<i64>,
    is_full: bool,
}

impl Chunk {
    /// Adds the rows of a stream that belong to the batch, until the seal is full.
    fn add_stream(&mut self, batch: &Batch, life: &Incarnation, rows: &Rc<Rows>) {
        let stream_no = rows.schema.stream_no;
        if batch.kind == SealKind::Window {
            for span in window_spans(&batch.window, stream_no, batch.after, None) {
                self.add_span(rows, span, |place| belongs(batch, life, stream_no, place));
            }
            return;
        }
        let waiting = store::unsealed(life.number, stream_no, batch.after, SEAL_ROWS + 1);
        let keys: HashSet<(i64, i64)> = waiting.iter().copied().collect();
        if let Some(span) = span_around(waiting.into_iter()) {
            self.add_span(rows, span, |place| keys.contains(&place.position));
        }
    }

    fn add_span(&mut self, rows: &Rc<Rows>, span: Span, belongs: impl Fn(RowPlace) -> bool) {
        if self.is_full {
            return;
        }
        rows.read(span, |place, values| {
            if !belongs(place) {
                return true;
            }
            if self.hashes.len() == SEAL_ROWS {
                self.is_full = true;
                return false;
            }
            let hash =
                self.maker.leaf(rows, place, values).unwrap_or_else(|| self.maker.unfit_leaf(rows, place));
            self.add(rows, place, hash);
            true
        });
    }

    fn add(&mut self, rows: &Rows, place: RowPlace, hash: Hash) {
        let (transaction_id, number) = place.position;
        let entry = Entry {
            stream_no: rows.schema.stream_no,
            schema_no: rows.prepared.schema_no,
            month: month_of(place.time),
            transaction_id,
            number,
        };
        if let Err(defect) = self.entries.push(entry) {
            errors::raise(
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                &format!("a row of stream {} cannot be sealed: {defect}", rows.schema.stream),
                Some("SELECT * FROM audit.verify();"),
            );
        }
        self.hashes.push(hash);
        self.hints.extend_from_slice(&self.maker.hints);
        self.oldest = Some(self.oldest.map_or(place.time, |oldest| oldest.min(place.time)));
        self.newest = Some(self.newest.map_or(place.time, |newest| newest.max(place.time)));
    }

    fn store(self, batch: Batch, newest: Option<&Seal>) {
        let tree = newest.map_or_else(|| Some(Frontier::new()), Seal::tree);
        let Some(mut tree) = tree else {
            errors::raise(
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                "the tree of the newest seal cannot be read",
                Some("SELECT * FROM audit.verify();"),
            )
        };
        let mut seal = Seal {
            seal_no: newest.map_or(1, |seal| seal.seal_no + 1),
            incarnation: batch.incarnation,
            batch: batch.number,
            chunk: batch.chunk,
            is_last: !self.is_full,
            kind: batch.kind,
            prev_snapshot: batch.window.prev.to_string(),
            snapshot: batch.window.next.to_string(),
            first_leaf: tree.size(),
            leaves: self.entries.rows() + 1,
            oldest_at: self.oldest.unwrap_or(0),
            newest_at: self.newest.unwrap_or(0),
            entries: self.entries.finish(),
            leaf_hashes: Vec::new(),
            size_after: 0,
            root_after: Vec::new(),
            frontier: Vec::new(),
            sealed_at: time_from_2000(session::now()),
            origin: batch.origin,
            checkpoint_note: store::newest_checkpoint(),
        };
        let mut leaves = vec![seal.header().leaf()];
        leaves.extend(self.hashes);
        let mut subtrees = Vec::new();
        tree.extend(&leaves, &mut |level, index, root| subtrees.push((level, index, *root)));
        seal.leaf_hashes = leaves.as_flattened().to_vec();
        seal.size_after = tree.size();
        seal.root_after = tree.root().to_vec();
        seal.frontier = tree.to_bytes();
        store::insert_seal(&seal, self.hints, &subtrees);
    }
}
