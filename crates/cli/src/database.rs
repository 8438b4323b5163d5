//! The ledger in a database, read with SELECT only, in one consistent view.

use std::collections::BTreeMap;

use audit_guard_core::ledger::check::{Seal, Span};
use audit_guard_core::ledger::header::SealKind;
use audit_guard_core::ledger::snapshot::Snapshot;
use audit_guard_core::ledger::value::time_from_2000;
use postgres::Client;

use crate::connect::{self, Settings};
use crate::copy::{CopyRows, RawRow};
use crate::facts::{EXCUSES, Event, Facts, GUARD_EVENTS, Incarnation, StoredSchema, Stream};
use crate::failure::{Failure, Result};
use crate::leaf::{Cell, RowHead};

/// Where the columns of a row stand; the fields follow.
const FIELDS: usize = 5;

const SEAL_COLUMNS: &str = "s.seal_no, s.incarnation, s.batch, s.chunk, s.is_last, s.kind, \
     s.prev_snapshot::text, s.snapshot::text, s.first_leaf, s.leaves, s.oldest_at, s.newest_at, s.entries, \
     s.leaf_hashes, s.size_after, s.root_after, s.frontier, s.sealed_at, \
     coalesce(s.checkpoint_note, ''), coalesce(i.origin, '')";

/// What has to be known of a seal to decide which are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealPlan {
    pub(crate) seal_no: i64,
    pub(crate) incarnation: i64,
    pub(crate) batch: i64,
    pub(crate) kind: i64,
    pub(crate) leaves: i64,
    /// Microseconds since 1970; 0 without rows.
    pub(crate) oldest_at: i64,
    pub(crate) newest_at: i64,
}

/// A connection that sees one moment.
pub(crate) struct Database {
    client: Client,
    /// Per stream, the columns that its table has now.
    pub(crate) columns: BTreeMap<u16, Vec<String>>,
}

impl Database {
    /// Connects and begins to look; with a snapshot, at the moment of another connection.
    pub(crate) fn open(settings: &Settings, snapshot: Option<&str>) -> Result<Self> {
        let mut client = connect::connect(settings)?;
        client.batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        if let Some(snapshot) = snapshot {
            client.batch_execute(&format!("SET TRANSACTION SNAPSHOT {}", literal(snapshot)))?;
        }
        // A slice of one large transaction looks to the planner like the whole table, and is not.
        client.batch_execute("SET LOCAL jit = off; SET LOCAL enable_seqscan = off")?;
        Ok(Self { client, columns: BTreeMap::new() })
    }

    /// A name for the moment, for [`Self::open`].
    pub(crate) fn snapshot(&mut self) -> Option<String> {
        self.client.query_one("SELECT pg_export_snapshot()", &[]).and_then(|row| row.try_get(0)).ok()
    }

    /// From now on, no index has a say in which rows there are.
    pub(crate) fn read_tables_whole(&mut self) -> Result<()> {
        let settings = "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; \
            SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off";
        Ok(self.client.batch_execute(settings)?)
    }

    /// One value of a query; None when there is no row, or NULL.
    pub(crate) fn number(&mut self, query: &str) -> Result<Option<i64>> {
        let row = self.client.query_opt(query, &[])?;
        Ok(row.map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten())
    }

    /// The rows of a query in binary.
    pub(crate) fn rows(
        &mut self,
        query: &str,
        mut each: impl FnMut(&RawRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let mut rows = CopyRows::new(self.client.copy_out(&copy)?);
        while let Some(row) = rows.next()? {
            each(&row)?;
        }
        Ok(())
    }

    /// Streams, schemas, lives and keys.
    pub(crate) fn facts(&mut self) -> Result<Facts> {
        if self.number("SELECT 1::bigint FROM pg_class WHERE oid = to_regclass('audit.seals')")?.is_none() {
            return Err(Failure::usage(
                "this database has no ledger\n\
                 HINT:  CREATE EXTENSION audit_guard; or connect to the right one",
            ));
        }
        let mut facts = Facts::default();
        let text = |row: &RawRow<'_>, place| {
            String::from_utf8_lossy(row.field(place).unwrap_or_default()).into_owned()
        };
        let query = "SELECT stream_no::bigint, stream, table_schema, table_name, number_column, time_column \
                     FROM audit.ledger_streams ORDER BY stream_no";
        self.rows(query, |row| {
            facts.streams.push(Stream {
                stream_no: small(row, 0)?,
                name: text(row, 1),
                table_schema: text(row, 2),
                table_name: text(row, 3),
                number_column: text(row, 4),
                time_column: text(row, 5),
            });
            Ok(())
        })?;
        self.rows(
            "SELECT schema_no::bigint, definition FROM audit.ledger_schemas ORDER BY schema_no",
            |row| {
                facts.schemas.push(StoredSchema { schema_no: small(row, 0)?, definition: text(row, 1) });
                Ok(())
            },
        )?;
        let query = "SELECT incarnation::bigint, origin, kind, reason, floors::text \
                     FROM audit.ledger_incarnations ORDER BY incarnation";
        self.rows(query, |row| {
            // A floor that is no number is none: then more rows are expected in seals, not fewer.
            let floors: serde_json::Value = serde_json::from_str(&text(row, 4)).unwrap_or_default();
            let floors = floors.as_object().into_iter().flatten();
            let floors = floors.filter_map(|(no, floor)| Some((no.parse().ok()?, floor.as_i64()?))).collect();
            facts.incarnations.push(Incarnation {
                incarnation: small(row, 0)?,
                origin: text(row, 1),
                kind: text(row, 2),
                reason: row.field(3).map(|_| text(row, 3)),
                floors,
            });
            Ok(())
        })?;
        let query = "SELECT k.verifier_key, EXISTS (SELECT FROM audit.ledger_key_withdrawals w \
                                                    WHERE w.verifier_key = k.verifier_key) \
                     FROM audit.ledger_keys k ORDER BY k.trusted_at";
        self.rows(query, |row| {
            let keys = if row.field(1) == Some(&[1]) { &mut facts.withdrawn_keys } else { &mut facts.keys };
            keys.push(text(row, 0));
            Ok(())
        })?;
        facts.correct();
        for stream in &facts.streams {
            let mut columns = Vec::new();
            let query = format!(
                "SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {} \
                 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                literal(&stream.table_schema),
                literal(&stream.table_name)
            );
            self.rows(&query, |row| {
                columns.push(text(row, 0));
                Ok(())
            })?;
            self.columns.insert(stream.stream_no, columns);
        }
        Ok(facts)
    }

    /// The size of the tree, as its last seal says, and that seal's number.
    pub(crate) fn size(&mut self) -> Result<(u64, i64)> {
        let mut size = (0, 0);
        let query = "SELECT size_after, seal_no FROM audit.seals ORDER BY seal_no DESC LIMIT 1";
        self.rows(query, |row| {
            size = (
                row.bigint(0).and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                row.bigint(1).unwrap_or(0),
            );
            Ok(())
        })?;
        Ok(size)
    }

    /// The last seal, if there is one that can be read.
    pub(crate) fn last_seal(&mut self) -> Result<Option<Seal>> {
        match self.size()? {
            (_, 0) => Ok(None),
            (_, seal_no) => Ok(self.seals(seal_no, seal_no)?.and_then(|mut seals| seals.pop())),
        }
    }

    /// Events that are not sealed yet and excuse what was erased or removed.
    pub(crate) fn unsealed_excuses(&mut self, facts: &Facts, last: Option<&Seal>) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let Some(stream) = facts.stream(GUARD_EVENTS) else { return Ok(events) };
        let kinds: Vec<String> = EXCUSES.iter().map(|kind| literal(kind)).collect();
        let query = format!(
            "SELECT r.id, r.logged_at, r.kind, r.object, r.detail::text FROM audit.guard_events r \
             WHERE r.kind IN ({}) AND {}",
            kinds.join(", "),
            unsealed(facts, last, stream)
        );
        self.rows(&query, |row| {
            let text = |place| String::from_utf8_lossy(row.field(place).unwrap_or_default()).into_owned();
            events.push(Event {
                id: row.bigint(0).unwrap_or(0),
                logged_at: row.bigint(1).map_or(0, time_from_2000),
                kind: text(2),
                object: text(3),
                detail: serde_json::from_str(&text(4)).unwrap_or_default(),
                is_sealed: false,
            });
            Ok(())
        })?;
        Ok(events)
    }

    /// The next seals after one.
    pub(crate) fn plans(&mut self, after: i64, limit: u32) -> Result<Vec<SealPlan>> {
        let mut plans = Vec::new();
        let query = format!(
            "SELECT seal_no, incarnation::bigint, batch, kind::bigint, leaves::bigint, oldest_at, newest_at \
             FROM audit.seals WHERE seal_no > {after} ORDER BY seal_no LIMIT {limit}"
        );
        self.rows(&query, |row| {
            let number = |place| row.bigint(place).unwrap_or(0);
            let time = |place| row.bigint(place).map_or(0, time_from_2000);
            plans.push(SealPlan {
                seal_no: number(0),
                incarnation: number(1),
                batch: number(2),
                kind: number(3),
                leaves: number(4),
                oldest_at: time(5),
                newest_at: time(6),
            });
            Ok(())
        })?;
        Ok(plans)
    }

    /// The seals of a range of numbers, both included. None when one of them cannot be one: its numbers are
    /// of a size that no seal has.
    pub(crate) fn seals(&mut self, first: i64, last: i64) -> Result<Option<Vec<Seal>>> {
        let mut seals = Some(Vec::new());
        let query = format!(
            "SELECT {SEAL_COLUMNS} FROM audit.seals s \
             LEFT JOIN audit.ledger_incarnations i USING (incarnation) \
             WHERE s.seal_no BETWEEN {first} AND {last} ORDER BY s.seal_no"
        );
        self.rows(&query, |row| {
            match (seal(row), &mut seals) {
                (Some(seal), Some(seals)) => seals.push(seal),
                _ => seals = None,
            }
            Ok(())
        })?;
        Ok(seals)
    }

    /// The rows of a stream that lie in `spans`, in the order of leaves if that matters. A column that a
    /// schema has and the table has not reads as NULL.
    pub(crate) fn stream_rows(
        &mut self,
        stream: &Stream,
        spans: &[Span],
        in_order: bool,
        mut each: impl FnMut(&RowHead<'_>, &RawRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let columns = self.columns.get(&stream.stream_no).map(Vec::as_slice).unwrap_or_default();
        let has = |name: &str| columns.iter().any(|column| column == name);
        if spans.is_empty() || !has(&stream.number_column) || !has("transaction_id") {
            return Ok(());
        }
        let own = |name: &str, otherwise: &str| match has(name) {
            true => format!("r.{}", identifier(name)),
            false => otherwise.to_owned(),
        };
        let number = own(&stream.number_column, "");
        let mut list = vec![
            "r.transaction_id".to_owned(),
            format!("{number}::bigint"),
            own(&stream.time_column, "NULL::timestamptz"),
            own("salt", "NULL::uuid"),
            own("redaction", "NULL::bytea"),
        ];
        list.extend(columns.iter().map(|column| format!("r.{}", identifier(column))));
        let conditions = spans.iter().map(|span| {
            let ((after, after_number), (up_to, up_to_number)) = (span.after, span.up_to);
            // The first condition of each pair is what an index or a partition is chosen by.
            format!(
                "(r.transaction_id BETWEEN {after} AND {up_to} AND (r.transaction_id, {number}) > ({after}, \
                 {after_number}) AND (r.transaction_id, {number}) <= ({up_to}, {up_to_number}))"
            )
        });
        let query = format!(
            "SELECT {} FROM {}.{} r WHERE {}{}",
            list.join(", "),
            identifier(&stream.table_schema),
            identifier(&stream.table_name),
            conditions.collect::<Vec<_>>().join(" OR "),
            if in_order { format!(" ORDER BY r.transaction_id, {number}") } else { String::new() }
        );
        let stream_no = stream.stream_no;
        self.rows(&query, |row| {
            let head = RowHead {
                stream_no,
                transaction_id: row.bigint(0).unwrap_or(0),
                number: row.bigint(1).unwrap_or(0),
                time: row.bigint(2).map_or(0, time_from_2000),
                salt: row.field(3),
                redaction: row.field(4),
            };
            each(&head, row)
        })
    }
}

/// The condition under which a row `r` waits to be sealed.
pub(crate) fn unsealed(facts: &Facts, last: Option<&Seal>, stream: &Stream) -> String {
    let snapshot = last.and_then(|last| Snapshot::parse(&last.snapshot).ok());
    let (Some(last), Some(snapshot)) = (last, snapshot) else { return "true".to_owned() };
    let (floor, _) = facts.numbers_of(last.incarnation, stream.stream_no);
    let number = identifier(&stream.number_column);
    let open: Vec<String> = snapshot.xip.iter().map(u64::to_string).collect();
    let xmax = snapshot.xmax;
    let open = if open.is_empty() { "NULL".to_owned() } else { open.join(", ") };
    format!("r.{number} > {floor} AND (r.transaction_id >= {xmax} OR r.transaction_id IN ({open}))")
}

/// A field of a row that [`Database::stream_rows`] gave.
pub(crate) fn cell<'a>(row: &RawRow<'a>, place: Option<usize>) -> Cell<'a> {
    Cell::Binary(place.and_then(|place| row.field(FIELDS + place)))
}

fn small<T: TryFrom<i64>>(row: &RawRow<'_>, place: usize) -> Result<T> {
    let number = row.bigint(place).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Failure::unchecked("a number in the ledger's tables is out of range"))
}

fn seal(row: &RawRow<'_>) -> Option<Seal> {
    let number = |place: usize| u64::try_from(row.bigint(place)?).ok();
    let integer = |place: usize| {
        let bytes: [u8; 4] = row.field(place)?.try_into().ok()?;
        u32::try_from(i32::from_be_bytes(bytes)).ok()
    };
    let text = |place: usize| String::from_utf8(row.field(place)?.to_vec()).ok();
    let bytes = |place: usize| row.field(place).unwrap_or_default().to_vec();
    let time = |place: usize| row.bigint(place).map_or(0, time_from_2000);
    Some(Seal {
        seal_no: number(0)?,
        incarnation: integer(1)?,
        batch: number(2)?,
        chunk: integer(3)?,
        is_last: row.field(4)? == [1],
        kind: SealKind::from_number(i16::from_be_bytes(row.field(5)?.try_into().ok()?))?,
        prev_snapshot: text(6)?,
        snapshot: text(7)?,
        first_leaf: number(8)?,
        leaves: integer(9)?,
        oldest_at: time(10),
        newest_at: time(11),
        entries: bytes(12),
        leaf_hashes: bytes(13),
        size_after: number(14)?,
        root_after: bytes(15),
        frontier: bytes(16),
        sealed_at: time(17),
        checkpoint_note: text(18)?,
        origin: text(19)?,
    })
}

/// A name in SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL, whatever standard_conforming_strings says.
pub(crate) fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
