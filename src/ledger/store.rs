//! What the ledger's tables hold.

use crate::pg::acting::with_latest_snapshot;
use crate::pg::call::UPDATE_HINT;
use crate::pg::errors;
use crate::pg::field_value::time_from_1970;
use crate::pg::query::{Argument, select};
use crate::pg::tuple::Values;
use audit_guard_core::ledger::check::{Key, Position, Seal};
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::header::SealKind;
use audit_guard_core::ledger::value::{Scalar, Type, time_from_2000};
use audit_guard_core::request::parse_uuid;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::Error;
use std::collections::BTreeMap;

/// One life of the database, from its first seal to the next discontinuity.
pub(super) struct Incarnation {
    pub(super) number: i64,
    pub(super) origin: String,
    pub(super) start_snapshot: String,
    pub(super) was_declared: bool,
    /// The highest number of each stream when it began; what is not above belongs to an earlier life.
    pub(super) floors: BTreeMap<u16, i64>,
}

/// A stream with the schema that is in force.
pub(super) struct Stream {
    pub(super) stream_no: u16,
    pub(super) name: String,
    pub(super) schema_no: u32,
    pub(super) definition: String,
    /// The table, as a number, as SQL names it, and its schema and name.
    pub(super) relation: pg_sys::Oid,
    pub(super) table: String,
    pub(super) names: (String, String),
}

/// A column: its name and its type.
pub(super) type Column = (String, pg_sys::Oid);

fn change(query: &str, arguments: &[DatumWithOid]) {
    if let Err(error) = Spi::run_with_args(query, arguments) {
        fail(&error);
    }
}

fn fail(error: &Error) -> ! {
    errors::raise(
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        &format!("the tables of the ledger are not as they should be: {error}"),
        Some(UPDATE_HINT),
    )
}

// The columns of a row are counted from 1 here, as in SQL.

pub(super) fn text(row: &Values, column: usize) -> String {
    row.copy(column - 1).unwrap_or_default()
}

pub(super) fn bytes(row: &Values, column: usize) -> Vec<u8> {
    row.copy(column - 1).unwrap_or_default()
}

pub(super) fn number(row: &Values, column: usize) -> i64 {
    row.copy(column - 1).unwrap_or_default()
}

fn flag(row: &Values, column: usize) -> bool {
    row.copy(column - 1).unwrap_or_default()
}

fn micros(row: &Values, column: usize) -> i64 {
    row.get(column - 1).map_or(0, |time| time_from_2000(time.value() as i64))
}

/// A moment for a timestamptz; None for 0, which stands for none.
fn moment(micros: i64) -> Option<TimestampWithTimeZone> {
    (micros != 0).then(|| TimestampWithTimeZone::try_from(time_from_1970(micros)).ok()).flatten()
}

/// What had finished up to now, as `pg_snapshot` is printed; gives the transaction no number.
pub(super) fn snapshot_now() -> String {
    select("SELECT pg_current_snapshot()::text", &[], |row| text(row, 1)).pop().unwrap_or_default()
}

const SEALS: &str = "SELECT s.seal_no, s.incarnation::bigint, s.batch, s.chunk::bigint, s.is_last, s.kind::bigint, \
     s.prev_snapshot::text, s.snapshot::text, s.first_leaf, s.leaves::bigint, s.oldest_at, s.newest_at, \
     s.entries, s.leaf_hashes, s.size_after, s.root_after, s.frontier, s.sealed_at, s.checkpoint_note, i.origin \
     FROM audit.seals s LEFT JOIN audit.ledger_incarnations i ON i.incarnation = s.incarnation";

fn seal(row: &Values) -> Seal {
    let count = |column| u64::try_from(number(row, column)).unwrap_or(u64::MAX);
    let small = |column| u32::try_from(number(row, column)).unwrap_or(u32::MAX);
    let kind = i16::try_from(number(row, 6)).ok().and_then(SealKind::from_number);
    Seal {
        seal_no: count(1),
        incarnation: small(2),
        batch: count(3),
        chunk: small(4),
        is_last: flag(row, 5),
        kind: kind.unwrap_or(SealKind::Window),
        prev_snapshot: text(row, 7),
        snapshot: text(row, 8),
        first_leaf: count(9),
        leaves: small(10),
        oldest_at: micros(row, 11),
        newest_at: micros(row, 12),
        entries: bytes(row, 13),
        // A seal of a kind that there is not has no leaves, so that it fails.
        leaf_hashes: kind.map_or_else(Vec::new, |_| bytes(row, 14)),
        size_after: count(15),
        root_after: bytes(row, 16),
        frontier: bytes(row, 17),
        sealed_at: micros(row, 18),
        checkpoint_note: text(row, 19),
        origin: text(row, 20),
    }
}

/// The newest seal, without its leaves, and without its list of rows when its batch is complete.
pub(super) fn newest_seal() -> Option<Seal> {
    let light = SEALS
        .replace("s.entries", "CASE WHEN s.is_last THEN ''::bytea ELSE s.entries END")
        .replace("s.leaf_hashes", "''::bytea");
    select(&format!("{light} ORDER BY s.seal_no DESC LIMIT 1"), &[], seal).pop()
}

/// How many leaves the tree has.
pub(super) fn tree_size() -> u64 {
    let query = "SELECT s.size_after FROM audit.seals s ORDER BY s.seal_no DESC LIMIT 1";
    select(query, &[], |row| number(row, 1)).pop().map_or(0, i64::unsigned_abs)
}

/// The seals from the first number to the last, in order.
pub(super) fn seals(first: u64, last: u64) -> Vec<Seal> {
    let [first, last] = [first, last].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    let query = format!("{SEALS} WHERE s.seal_no BETWEEN $1 AND $2 ORDER BY s.seal_no");
    select(&query, &[Argument::Number(first), Argument::Number(last)], seal)
}

/// Stores a seal, with a byte per field of each row and the subtrees that are complete with it.
pub(super) fn insert_seal(seal: &Seal, hints: Vec<u8>, subtrees: &[(u8, u64, Hash)]) {
    let note = (!seal.checkpoint_note.is_empty()).then(|| seal.checkpoint_note.clone());
    change(
        "INSERT INTO audit.seals (seal_no, incarnation, batch, chunk, is_last, kind, prev_snapshot, snapshot, \
         first_leaf, leaves, oldest_at, newest_at, entries, leaf_hashes, hints, size_after, root_after, frontier, \
         sealed_at, checkpoint_note, transaction_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7::pg_snapshot, $8::pg_snapshot, $9, $10, $11, $12, $13, $14, $15, $16, \
         $17, $18, $19, $20, pg_current_xact_id()::text::bigint)",
        &[
            seal.seal_no.cast_signed().into(),
            seal.incarnation.cast_signed().into(),
            seal.batch.cast_signed().into(),
            seal.chunk.cast_signed().into(),
            seal.is_last.into(),
            (seal.kind as i16).into(),
            seal.prev_snapshot.clone().into(),
            seal.snapshot.clone().into(),
            seal.first_leaf.cast_signed().into(),
            seal.leaves.cast_signed().into(),
            moment(seal.oldest_at).into(),
            moment(seal.newest_at).into(),
            seal.entries.clone().into(),
            seal.leaf_hashes.clone().into(),
            hints.into(),
            seal.size_after.cast_signed().into(),
            seal.root_after.clone().into(),
            seal.frontier.clone().into(),
            moment(seal.sealed_at).into(),
            note.into(),
        ],
    );
    let levels: Vec<i16> = subtrees.iter().map(|(level, ..)| i16::from(*level)).collect();
    let indexes: Vec<i64> = subtrees.iter().map(|(_, index, _)| index.cast_signed()).collect();
    let hashes: Vec<Vec<u8>> = subtrees.iter().map(|(.., hash)| hash.to_vec()).collect();
    if !levels.is_empty() {
        change(
            "INSERT INTO audit.ledger_subtrees (level, index, hash) SELECT * FROM unnest($1, $2, $3)",
            &[levels.into(), indexes.into(), hashes.into()],
        );
    }
}

/// The roots of complete subtrees of one level, with their indexes.
pub(super) fn subtrees(level: u8, first: u64, last: u64) -> Vec<(u64, Vec<u8>)> {
    select(
        "SELECT t.index, t.hash FROM audit.ledger_subtrees t WHERE t.level = $1 AND t.index BETWEEN $2 AND $3 \
         ORDER BY t.index",
        &[
            Argument::Number(level.into()),
            Argument::Number(first.cast_signed()),
            Argument::Number(last.cast_signed()),
        ],
        |row| (number(row, 1).unsigned_abs(), bytes(row, 2)),
    )
}

/// Consecutive leaves; None when there are not as many.
pub(super) fn leaves(first: u64, count: u64) -> Option<Vec<Hash>> {
    let end = first.checked_add(count)?;
    let pieces = select(
        "SELECT substring(s.leaf_hashes FROM least(greatest($1 - s.first_leaf, 0), 65536)::integer * 32 + 1 \
                          FOR least(least($2, s.size_after) - greatest($1, s.first_leaf), 65536)::integer * 32) \
         FROM audit.seals s WHERE s.first_leaf < $2 AND s.size_after > $1 ORDER BY s.seal_no",
        &[Argument::Number(first.cast_signed()), Argument::Number(end.cast_signed())],
        |row| bytes(row, 1),
    );
    let hashes = pieces.concat().as_chunks::<32>().0.to_vec();
    (hashes.len() as u64 == count).then_some(hashes)
}

/// The lives of the database, the newest first.
pub(super) fn incarnations() -> Vec<Incarnation> {
    // Whatever stands there: one that is no number is no floor.
    let pairs = "FROM jsonb_each_text(CASE jsonb_typeof(i.floors) WHEN 'object' THEN i.floors END) f \
         WHERE f.key ~ '^\\d{1,5}$' AND f.value ~ '^\\d{1,18}$' ORDER BY f.key";
    let floors = format!("array(SELECT f.key::bigint {pairs}), array(SELECT f.value::bigint {pairs})");
    let query = format!(
        "SELECT i.incarnation::bigint, i.origin, i.start_snapshot::text, i.kind = 'declared', {floors} \
         FROM audit.ledger_incarnations i ORDER BY i.incarnation DESC"
    );
    let mut lives = select(&query, &[], |row| {
        let streams = row.copy::<Vec<i64>>(4).unwrap_or_default();
        let floors = row.copy::<Vec<i64>>(5).unwrap_or_default();
        Incarnation {
            number: number(row, 1),
            origin: text(row, 2),
            start_snapshot: text(row, 3),
            was_declared: flag(row, 4),
            floors: streams
                .into_iter()
                .zip(floors)
                .filter_map(|(stream, floor)| Some((u16::try_from(stream).ok()?, floor)))
                .collect(),
        }
    });
    // Only who declares a life sets floors; the others go on with those of the life before.
    let mut floors = BTreeMap::new();
    for life in lives.iter_mut().rev() {
        if life.was_declared {
            floors = life.floors.clone();
        }
        life.floors.clone_from(&floors);
    }
    lives
}

const STREAM_COLUMNS: &str = "stream_no::bigint, l.stream, schema_no::bigint, definition, \
     c.oid, format('%I.%I', n.nspname, c.relname), n.nspname::text, c.relname::text";
const STREAM_TABLES: &str = "JOIN pg_namespace n ON n.nspname = l.table_schema \
     JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = l.table_name";

fn stream(row: &Values) -> Stream {
    Stream {
        stream_no: u16::try_from(number(row, 1)).unwrap_or_default(),
        name: text(row, 2),
        schema_no: u32::try_from(number(row, 3)).unwrap_or_default(),
        definition: text(row, 4),
        relation: row.copy(4).unwrap_or(pg_sys::InvalidOid),
        table: text(row, 6),
        names: (text(row, 7), text(row, 8)),
    }
}

/// The streams whose tables are there, with their schemas as they are now, in the order of their numbers. Gives the
/// transaction a number, and registers schemas that are new.
pub(super) fn register_streams() -> Vec<Stream> {
    let in_force = Spi::connect_mut(|client| {
        let rows = client.update("SELECT s.schema_no::bigint FROM audit._register_schemas() s", None, &[])?;
        rows.map(|row| row.get::<i64>(1)).collect::<Result<Vec<_>, Error>>()
    });
    let in_force = in_force.unwrap_or_else(|error| fail(&error));
    // Also those that were registered just now.
    let mut all = with_latest_snapshot(registered_schemas);
    all.retain(|stream| in_force.contains(&Some(i64::from(stream.schema_no))));
    all
}

/// All schemas under which rows of streams were sealed.
pub(super) fn registered_schemas() -> Vec<Stream> {
    let query = format!(
        "SELECT {} FROM audit.ledger_schemas s JOIN audit.ledger_streams l USING (stream_no) {STREAM_TABLES} \
         ORDER BY stream_no, schema_no",
        STREAM_COLUMNS.replace("definition", "s.definition")
    );
    select(&query, &[], stream)
}

/// Whether a stream was declared that has no schema yet; its table is there.
pub(super) fn has_new_stream() -> bool {
    let query = format!(
        "SELECT 1::bigint FROM audit.ledger_streams l {STREAM_TABLES} \
         WHERE NOT EXISTS (SELECT FROM audit.ledger_schemas s WHERE s.stream_no = l.stream_no)"
    );
    !select(&query, &[], |row| number(row, 1)).is_empty()
}

/// Begins a life of this database; `snapshot` is the one after which its first window begins.
pub(super) fn begin_incarnation(kind: &str, reason: Option<&str>, snapshot: &str) {
    change(
        "SELECT audit._begin_incarnation($1, $2, $3::pg_snapshot, \
         coalesce((SELECT i.floors FROM audit.ledger_incarnations i ORDER BY i.incarnation DESC LIMIT 1), '{}'))",
        &[kind.into(), reason.into(), snapshot.into()],
    );
}

/// Rows of a stream that the closing batch of a life has to seal, in order, after a place in that batch.
pub(super) fn unsealed(life: i64, stream_no: u16, after: Option<Key>, limit: usize) -> Vec<Position> {
    let (stream, transaction, row) = after.unwrap_or((0, 0, 0));
    select(
        "SELECT u.transaction_id, u.number FROM audit.ledger_unsealed u \
         WHERE u.incarnation = $1 AND u.stream_no = $2 \
           AND (u.stream_no, u.transaction_id, u.number) > ($3, $4, $5) \
         ORDER BY u.transaction_id, u.number LIMIT $6",
        &[
            Argument::Number(life),
            Argument::Number(stream_no.into()),
            Argument::Number(stream.into()),
            Argument::Number(transaction),
            Argument::Number(row),
            Argument::Number(limit as i64),
        ],
        |row| (number(row, 1), number(row, 2)),
    )
}

/// A stream by its name, under the schema of this number, else under the newest.
pub(super) fn stream_named(name: &str, schema_no: Option<u32>) -> Option<Stream> {
    registered_schemas()
        .into_iter()
        .rev()
        .find(|known| known.name == name && schema_no.is_none_or(|wanted| wanted == known.schema_no))
}

/// The numbers of the first and the last seal of some lives, of one kind.
pub(super) fn seal_range(first_life: i64, last_life: i64, kind: SealKind) -> Option<(u64, u64)> {
    let range = select(
        "SELECT min(s.seal_no), max(s.seal_no) FROM audit.seals s \
         WHERE s.incarnation BETWEEN $1 AND $2 AND s.kind = $3",
        &[Argument::Number(first_life), Argument::Number(last_life), Argument::Number(kind as i64)],
        |row| (number(row, 1).unsigned_abs(), number(row, 2).unsigned_abs()),
    );
    range.into_iter().next().filter(|(first, _)| *first > 0)
}

/// The snapshot and the batch of a seal.
pub(super) fn snapshot_of(seal_no: u64) -> Option<(String, u64)> {
    let query = "SELECT s.snapshot::text, s.batch FROM audit.seals s WHERE s.seal_no = $1";
    let rows = select(query, &[Argument::Number(seal_no.cast_signed())], |row| {
        (text(row, 1), number(row, 2).unsigned_abs())
    });
    rows.into_iter().next()
}

/// The last seal of a batch.
pub(super) fn last_of_batch(batch: u64) -> Option<u64> {
    let query = "SELECT max(s.seal_no) FROM audit.seals s WHERE s.batch = $1";
    select(query, &[Argument::Number(batch.cast_signed())], |row| number(row, 1)).pop().map(i64::unsigned_abs)
}

/// The hints of a seal, see `audit_guard_core::ledger::hint`.
pub(super) fn hints(seal_no: u64) -> Vec<u8> {
    let query = "SELECT s.hints FROM audit.seals s WHERE s.seal_no = $1";
    select(query, &[Argument::Number(seal_no.cast_signed())], |row| bytes(row, 1)).pop().unwrap_or_default()
}

/// The number of the row that has this id; None for what cannot be one, or when there is no such row.
pub(super) fn number_of(stream: &Stream, id: &str) -> Option<i64> {
    let schema = audit_guard_core::ledger::schema::Schema::parse(&stream.definition).ok()?;
    let id = id.trim();
    let field = schema.field("id").filter(|_| schema.number != "id");
    let Some(field) = field else { return id.parse().ok() };
    // Compared as what it is, so that an index finds it. What is no uuid may be the number.
    let same = match (field.kind, parse_uuid(id)) {
        (Type::Scalar(Scalar::Uuid), None) => return id.parse().ok(),
        (Type::Scalar(Scalar::Uuid), Some(_)) => "r.id = $1::uuid",
        _ => "r.id::text = lower($1)",
    };
    let query =
        format!("SELECT r.{} FROM {} r WHERE {same}", crate::pg::names::quote(&schema.number), stream.table);
    select(&query, &[Argument::Text(id)], |row| number(row, 1)).pop()
}

/// The texts of the columns of a row.
pub(super) fn texts(stream: &Stream, number_column: &str, row_number: i64) -> BTreeMap<String, String> {
    let query = format!(
        "SELECT f.key, f.value FROM {} r, LATERAL jsonb_each_text(to_jsonb(r)) f WHERE r.{} = $1",
        stream.table,
        crate::pg::names::quote(number_column)
    );
    select(&query, &[Argument::Number(row_number)], |row| (text(row, 1), row.copy::<String>(1)))
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The columns that a table has now.
pub(super) fn columns(relation: pg_sys::Oid) -> Vec<Column> {
    select(
        "SELECT a.attname::text, a.atttypid FROM pg_attribute a \
         WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[Argument::Oid(relation)],
        |row| (text(row, 1), row.copy(1).unwrap_or(pg_sys::InvalidOid)),
    )
}

/// The newest signed checkpoint that was given to this database.
pub(super) fn newest_checkpoint() -> String {
    let query = "SELECT c.note FROM audit.checkpoints c ORDER BY c.size DESC, c.id DESC LIMIT 1";
    select(query, &[], |row| text(row, 1)).pop().unwrap_or_default()
}
