//! Where in the tree a row is.

use super::rows;
use super::store::{self, Stream};
use super::stream::{LeafMaker, RowPlace, Rows};
use crate::pg::errors;
use crate::pg::tuple::Values;
use audit_guard_core::ledger::check::{Key, Seal};
use audit_guard_core::ledger::entries::Entry;
use audit_guard_core::ledger::header::SealKind;
use audit_guard_core::ledger::snapshot::Snapshot;
use pgrx::prelude::*;
use std::rc::Rc;

/// A row's leaf.
pub(super) struct Place {
    pub(super) seal: Seal,
    pub(super) entry: Entry,
    /// How many rows stand before it in the seal.
    pub(super) position: usize,
}

impl Place {
    pub(super) fn leaf_index(&self) -> u64 {
        self.seal.leaf_index(self.position)
    }
}

/// The leaf of a row of a stream; None when it is in no seal.
pub(super) fn find(stream_no: u16, (transaction, number): (i64, i64)) -> Option<Place> {
    let key = (stream_no, transaction, number);
    let lives = store::incarnations();
    let floor = |life: &store::Incarnation| life.floors.get(&stream_no).copied().unwrap_or(i64::MIN);
    // The life in which it was written, and those that followed without a break.
    let own = lives.iter().find(|life| life.was_declared && floor(life) < number);
    let first = own.map_or(1, |life| life.number);
    let next = lives.iter().rev().find(|life| life.was_declared && life.number > first);
    let last = next.map_or(i64::MAX, |life| life.number - 1);
    find_in_windows(first, last, key).or_else(|| find_in_closing(key))
}

fn find_in_windows(first_life: i64, last_life: i64, key: Key) -> Option<Place> {
    let transaction = u64::try_from(key.1).ok()?;
    let (mut low, high) = store::seal_range(first_life, last_life, SealKind::Window)?;
    let mut end = high + 1;
    // The first seal in whose snapshot the transaction had finished.
    while low < end {
        let middle = low + (end - low) / 2;
        let (snapshot, _) = store::snapshot_of(middle)?;
        if Snapshot::parse(&snapshot).ok()?.is_finished(transaction) {
            end = middle
        } else {
            low = middle + 1
        }
    }
    if low > high {
        return None;
    }
    let (_, batch) = store::snapshot_of(low)?;
    let mut last = store::last_of_batch(batch)?;
    // The first seal of that batch that does not end before the row.
    while low < last {
        let middle = low + (last - low) / 2;
        let seal = store::seals(middle, middle).pop()?;
        if seal.last_row().is_some_and(|row| row.key() < key) { low = middle + 1 } else { last = middle }
    }
    find_in(low, key)
}

fn find_in_closing(key: Key) -> Option<Place> {
    let (first, last) = store::seal_range(1, i64::MAX, SealKind::Closing)?;
    (first..=last).find_map(|seal_no| find_in(seal_no, key))
}

fn find_in(seal_no: u64, key: Key) -> Option<Place> {
    let seal = store::seals(seal_no, seal_no).pop()?;
    let rows = seal.rows().ok()?;
    let position = rows.binary_search_by_key(&key, Entry::key).ok()?;
    Some(Place { entry: rows[position], seal, position })
}

/// A stream by name, and a row's number in it from its text.
///
/// Errors: 22004 for null, 22023 for what is no stream, 42704 for a row that is not there.
pub(super) fn named(stream: Option<&str>, id: Option<&str>) -> (Stream, i64) {
    let (Some(stream), Some(id)) = (stream, id) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "stream and id must not be null",
            Some("SELECT stream FROM audit.ledger_streams;"),
        )
    };
    let Some(known) = store::stream_named(stream, None) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("\"{stream}\" is no stream of which anything was sealed"),
            Some("SELECT stream FROM audit.ledger_streams;"),
        )
    };
    let number = store::number_of(&known, id).unwrap_or_else(|| {
        errors::raise(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            &format!("stream {stream} has no row of this id"),
            Some(
                "The id is that of the stream's own table, for example: SELECT max(id) FROM audit.audit_log;",
            ),
        )
    });
    (known, number)
}

/// A row that was read, with its leaf when it is sealed.
pub(super) struct Found {
    pub(super) rows: Rc<Rows>,
    pub(super) place: Option<Place>,
    pub(super) row: RowPlace,
}

/// Reads a row under the schema under which it was sealed, else under the newest, and hashes it.
///
/// Errors: 42704 when there is no such row, or its schema cannot be read.
pub(super) fn read(
    stream: &Stream,
    number: i64,
    mut each: impl FnMut(&Found, &mut LeafMaker, &Values),
) -> Found {
    let mut position = None;
    if let Some(rows) = rows::reader(stream) {
        rows.read_one(number, |row, _| position = Some(row.position));
    }
    let place = position.and_then(|position| find(stream.stream_no, position));
    let schema = place.as_ref().map(|place| place.entry.schema_no);
    let rows = store::stream_named(&stream.name, schema).as_ref().and_then(rows::reader);
    let (Some(rows), Some(position)) = (rows, position) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            &format!("stream {} has no row of this id, or its schema is not known", stream.name),
            Some("SELECT * FROM audit.verify();"),
        )
    };
    let mut found = Found { rows: Rc::clone(&rows), place, row: RowPlace { position, time: 0 } };
    let mut maker = LeafMaker::with_hints();
    rows.read_one(number, |row, values| {
        found.row = row;
        each(&found, &mut maker, values);
    });
    found
}

/// Where a row is sealed: the seal, the leaf and the schema; no row when it is in no seal, or not there.
#[pg_extern(sql = false, stable)]
fn locate(
    stream: &str,
    number: i64,
) -> TableIterator<'static, (name!(seal_no, i64), name!(leaf_index, i64), name!(schema_no, i32))> {
    let mut position = None;
    let stream = store::stream_named(stream, None);
    if let Some(rows) = stream.as_ref().and_then(rows::reader) {
        rows.read_one(number, |row, _| position = Some(row.position));
    }
    let place = stream.zip(position).and_then(|(stream, position)| find(stream.stream_no, position));
    TableIterator::new(place.into_iter().map(|place| {
        let leaf_index = i64::try_from(place.leaf_index()).unwrap_or(i64::MAX);
        (place.seal.seal_no.cast_signed(), leaf_index, place.entry.schema_no.cast_signed())
    }))
}
