//! Erases fields of a stored row in such a way that its leaf stays what it is: of what was erased the
//! commitment is kept, of the rest the salts, and the row's own salt is destroyed.

use super::locate;
use super::rows;
use super::store::{self, Stream};
use super::stream::{LeafMaker, Rows};
use crate::pg::names::quote;
use crate::pg::rewrite::{self, StoredAt};
use crate::pg::{acting, errors};
use audit_guard_core::ledger::check::{Position, Span};
use audit_guard_core::ledger::redaction::{Redaction, Target};
use audit_guard_core::ledger::row::Form;
use audit_guard_core::ledger::schema::Schema;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The columns of a stream whose members are fields of their own, to be erased by their names.
fn documents(stream_no: u16) -> &'static [&'static str] {
    match stream_no {
        1 => &["old_record", "new_record"],
        7 => &["metadata"],
        _ => &[],
    }
}

const HINT: &str = "SELECT audit.redact('stream', 'id', '{field}', 'legal basis', 'ticket');";

/// A row under a lock.
struct Locked {
    stored: StoredAt,
    transaction: i64,
}

/// What of a row is to be erased, and its redaction then.
struct Erasure {
    redaction: Redaction,
    /// Columns that become null, with their members.
    columns: BTreeMap<String, Vec<Vec<u8>>>,
    /// Members that become null, by column.
    members: BTreeMap<String, Vec<Vec<u8>>>,
}

/// Erases fields of one row of a stream; gives those that were still there as a JSON array: the names of
/// columns, and for a member of a column `column.key`. In the log of changes a name means also the member of
/// that name in both images, in the security events that in the metadata. `transaction_id` is the row's own, where it is known: a row is found faster by
/// it.
#[pg_extern(sql = false)]
fn erase_row(stream: &str, number: i64, fields: Vec<String>, transaction_id: Option<i64>) -> String {
    let stream = stream_of(stream);
    // Its table may be a user's, whose indexes may call functions of theirs.
    let row = acting::as_owner_of(stream.relation, || lock(&stream, number, transaction_id));
    let rows = reader(&stream, (row.transaction, number));
    let erased = acting::as_owner_of(stream.relation, || erase(&stream, &rows, &row, number, &fields));
    serde_json::Value::from(erased).to_string()
}

fn stream_of(name: &str) -> Stream {
    let known = store::stream_named(name, None)
        .or_else(|| store::register_streams().into_iter().find(|stream| stream.name == name));
    known.unwrap_or_else(|| {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("there is no stream \"{name}\""),
            Some("SELECT stream FROM audit.ledger_streams;"),
        )
    })
}

/// Locks the row as FOR UPDATE does: whoever else erases something of it waits, and then sees what was
/// erased.
fn lock(stream: &Stream, number: i64, transaction_id: Option<i64>) -> Locked {
    let Ok(schema) = Schema::parse(&stream.definition) else { refuse_schema(stream) };
    let query = format!(
        "SELECT r.tableoid, r.ctid, r.transaction_id FROM {} AS r \
         WHERE r.{} = $1 AND ($2 IS NULL OR r.transaction_id = $2) FOR UPDATE",
        stream.table,
        quote(&schema.number)
    );
    let arguments: [DatumWithOid; 2] = [number.into(), transaction_id.into()];
    let found = Spi::connect_mut(|client| {
        let rows = client.update(&query, Some(2), &arguments)?;
        rows.map(|row| {
            let place = row.get::<pg_sys::ItemPointerData>(2)?;
            let table = row.get::<pg_sys::Oid>(1)?;
            let transaction = row.get::<i64>(3)?.unwrap_or_default();
            Ok(table.zip(place).map(|(table, place)| (table, place, transaction)))
        })
        .collect::<Result<Vec<_>, pgrx::spi::Error>>()
    });
    match found.as_deref() {
        Ok([Some((table, place, transaction))]) => {
            Locked { stored: StoredAt { table: *table, place: *place }, transaction: *transaction }
        }
        Ok([]) => errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("stream {} has no row {number}", stream.name),
            Some(HINT),
        ),
        Ok(_) => errors::raise(
            PgSqlErrorCode::ERRCODE_CARDINALITY_VIOLATION,
            &format!("stream {} has several rows {number}", stream.name),
            Some("SELECT * FROM audit.verify();"),
        ),
        Err(error) => errors::raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            &format!("stream {} cannot be read: {error}", stream.name),
            Some(HINT),
        ),
    }
}

fn refuse_schema(stream: &Stream) -> ! {
    errors::raise(
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        &format!("the schema of stream {} cannot be read", stream.name),
        Some("SELECT * FROM audit.verify();"),
    )
}

/// What reads the row as it was sealed, or will be.
fn reader(stream: &Stream, position: Position) -> Rc<Rows> {
    let sealed = locate::find(stream.stream_no, position);
    let then = sealed.and_then(|place| store::stream_named(&stream.name, Some(place.entry.schema_no)));
    rows::reader(then.as_ref().unwrap_or(stream)).unwrap_or_else(|| refuse_schema(stream))
}

fn erase(stream: &Stream, rows: &Rows, row: &Locked, number: i64, fields: &[String]) -> Vec<String> {
    let mut planned = None;
    let mut maker = LeafMaker::default();
    let span = Span { after: (row.transaction, number.saturating_sub(1)), up_to: (row.transaction, number) };
    rows.read(span, |place, values| {
        planned = maker.leaf(rows, place, values).map(|_| plan(stream, &rows.schema, &maker, fields));
        false
    });
    let Some((erasure, erased)) = planned else { refuse_unfit(stream, number) };
    if !erased.is_empty() {
        write(row, &erasure);
    }
    erased
}

/// What is not as it was left cannot be proved afterwards either.
fn refuse_unfit(stream: &Stream, number: i64) -> ! {
    errors::raise(
        PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        &format!("row {number} of stream {} is not as its redaction says", stream.name),
        Some("SELECT * FROM audit.verify();"),
    )
}

/// What to erase of a row that was just hashed, and the names of what is still there of it.
fn plan(stream: &Stream, schema: &Schema, maker: &LeafMaker, fields: &[String]) -> (Erasure, Vec<String>) {
    let found = documents(stream.stream_no).iter().filter_map(|name| schema.field(name));
    let documents: Vec<u16> = found.map(|field| field.no).collect();
    let mut targets = Vec::new();
    for name in fields {
        let column = schema.field(name);
        let key = Some(name.as_bytes());
        let members = documents.iter().map(|&field| Target { field, key });
        let is_member = || {
            maker.commitments().any(|part| {
                part.form == Form::Member && documents.contains(&part.field) && key == Some(part.key)
            })
        };
        match column {
            Some(column) if column.erasable => targets.push(Target { field: column.no, key: None }),
            // A key that this row does not have, others may have.
            None if !documents.is_empty() => {}
            _ if is_member() => {}
            _ => refuse_field(stream, name),
        }
        targets.extend(members);
    }
    let Some((redaction, _)) = Redaction::erase(maker.hasher(), &targets) else {
        refuse_field(stream, "");
    };
    let mut erasure = Erasure { redaction, columns: BTreeMap::new(), members: BTreeMap::new() };
    let mut names = Vec::new();
    for commitment in maker.commitments() {
        let Some(field) = schema.fields.iter().find(|field| field.no == commitment.field) else { continue };
        let is_whole = targets.contains(&Target { field: field.no, key: None });
        let is_member = commitment.form == Form::Member
            && targets.contains(&Target { field: field.no, key: Some(commitment.key) });
        // What was erased before is passed over; the group is no field.
        if commitment.form == Form::Group || commitment.salt.is_none() || !(is_whole || is_member) {
            continue;
        }
        let erased = if is_whole { &mut erasure.columns } else { &mut erasure.members };
        let is_first = !erased.contains_key(&field.name);
        let keys = erased.entry(field.name.clone()).or_default();
        if commitment.form == Form::Member {
            keys.push(commitment.key.to_vec());
        }
        match is_whole {
            false => names.push(format!("{}.{}", field.name, String::from_utf8_lossy(commitment.key))),
            true if is_first => names.push(field.name.clone()),
            true => {}
        }
    }
    (erasure, names)
}

fn refuse_field(stream: &Stream, name: &str) -> ! {
    errors::raise(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        &format!("stream {} has no field \"{name}\" that can be erased", stream.name),
        Some("SELECT stream, erasable FROM audit.ledger_streams;"),
    )
}

fn write(row: &Locked, erasure: &Erasure) {
    let blob = erasure.redaction.to_bytes();
    let blob = blob.as_slice().into_datum();
    rewrite::rewrite(row.stored, |column, value| match column.name.as_str() {
        "salt" => None,
        "redaction" => blob,
        name => match (erasure.columns.get(name), erasure.members.get(name)) {
            (Some(members), _) if column.not_null => {
                if members.is_empty() {
                    refuse_not_null(name);
                }
                value.map(|value| without(value, members))
            }
            (Some(_), _) => None,
            (None, Some(members)) => value.map(|value| without(value, members)),
            (None, None) => value,
        },
    });
}

fn without(object: Datum, members: &[Vec<u8>]) -> Datum {
    members.iter().fold(object, |object, key| rewrite::with_null_member(object, key))
}

fn refuse_not_null(column: &str) -> ! {
    errors::raise(
        PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION,
        &format!("column \"{column}\" must not be null, so it cannot be erased"),
        Some("SELECT stream, erasable FROM audit.ledger_streams;"),
    )
}
