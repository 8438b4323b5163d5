//! The rows of a stream in leaf order, hashed under one schema.

use super::store::{Column, Stream};
use crate::pg::field_value::Reader;
use crate::pg::jsonb_text;
use crate::pg::names::quote;
use crate::pg::query::Query;
use crate::pg::tuple::{self, Values};
use audit_guard_core::ledger::check::{Position, Span};
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::hint;
use audit_guard_core::ledger::redaction::Redaction;
use audit_guard_core::ledger::row::{Commitment, RowHasher};
use audit_guard_core::ledger::schema::{PreparedSchema, Schema};
use audit_guard_core::ledger::value::{Value, time_from_2000};

/// Where the columns of a row stand in a query; the fields follow.
const TRANSACTION_ID: usize = 0;
const NUMBER: usize = 1;
const TIME: usize = 2;
const SALT: usize = 3;
const REDACTION: usize = 4;
const FIELDS: usize = 5;

/// The rows of a stream, read under one of its schemas.
pub(super) struct Rows {
    pub(super) schema: Schema,
    pub(super) prepared: PreparedSchema,
    readers: Vec<Reader>,
    span: Query,
    single: Query,
    table: String,
}

/// Where a row belongs.
#[derive(Clone, Copy)]
pub(super) struct RowPlace {
    pub(super) position: Position,
    /// Microseconds since 1970.
    pub(super) time: i64,
}

/// Hashes rows of one `Rows` after the other; keeps its memory.
#[derive(Default)]
pub(super) struct LeafMaker {
    hasher: RowHasher,
    text: Vec<u8>,
    /// A byte per field, see [`hint`]; empty unless asked for.
    pub(super) hints: Vec<u8>,
    makes_hints: bool,
}

impl Rows {
    /// Prepares the reading of `table`, whose columns and their types are given; a field that has no column any
    /// more reads as null, so that its rows do not verify.
    pub(super) fn new(stream: &Stream, schema: Schema, columns: &[Column]) -> Self {
        let type_of = |name: &str| columns.iter().find(|(column, _)| column == name).map(|(_, oid)| *oid);
        let named = |name: &str, missing: &str| {
            type_of(name).map_or_else(|| missing.to_owned(), |_| format!("r.{}", quote(name)))
        };
        let mut list = vec![
            "r.transaction_id".to_owned(),
            named(&schema.number, "0::bigint"),
            named(&schema.time, "'epoch'::timestamptz"),
            named("salt", "NULL::uuid"),
            named("redaction", "NULL::bytea"),
        ];
        let mut readers = Vec::with_capacity(schema.fields.len());
        for field in &schema.fields {
            let reader =
                type_of(&field.name).and_then(Reader::for_type).filter(|(_, kind)| *kind == field.kind);
            list.push(if reader.is_some() { named(&field.name, "NULL") } else { "NULL::text".to_owned() });
            readers.push(reader.map_or(Reader::Text, |(reader, _)| reader));
        }
        let (columns, table, number) = (list.join(", "), &stream.table, quote(&schema.number));
        let span = format!(
            "SELECT {columns} FROM {table} AS r WHERE (r.transaction_id, r.{number}) > ($1, $2) \
             AND (r.transaction_id, r.{number}) <= ($3, $4) ORDER BY r.transaction_id, r.{number}"
        );
        let single = format!("SELECT {columns} FROM {table} AS r WHERE r.{number} = $1");
        let prepared = schema.prepare(stream.schema_no);
        let (span, single) = (Query::new(&span, 4, true), Query::new(&single, 1, false));
        Self { schema, prepared, readers, span, single, table: stream.table.clone() }
    }

    /// Whether this is the reader of the table that the stream has now, under the same definition.
    pub(super) fn is_of(&self, stream: &Stream) -> bool {
        self.table == stream.table
            && self.prepared == self.schema.prepare(stream.schema_no)
            && self.schema.definition() == stream.definition
    }

    /// Gives the rows of a span to `each`, in order, until it says false. Sees what is committed now.
    pub(super) fn read(&self, span: Span, each: impl FnMut(RowPlace, &Values) -> bool) {
        self.run(&self.span, &[span.after.0, span.after.1, span.up_to.0, span.up_to.1], each);
    }

    /// Gives the row of this number to `each`; false when there is none.
    pub(super) fn read_one(&self, number: i64, mut each: impl FnMut(RowPlace, &Values)) -> bool {
        let mut found = false;
        self.run(&self.single, &[number], |place, values| {
            each(place, values);
            found = true;
            false
        });
        found
    }

    fn run(&self, query: &Query, parameters: &[i64], mut each: impl FnMut(RowPlace, &Values) -> bool) {
        self.readers.iter().for_each(Reader::begin);
        query.rows(parameters, |values| {
            let number = |column| values.get(column).map_or(0, |datum| datum.value() as i64);
            let place = RowPlace {
                position: (number(TRANSACTION_ID), number(NUMBER)),
                time: time_from_2000(number(TIME)),
            };
            each(place, values)
        });
    }
}

impl LeafMaker {
    /// One that makes the hints of each row, too.
    pub(super) fn with_hints() -> Self {
        Self { makes_hints: true, ..Self::default() }
    }

    /// The leaf of a row; None when its redaction does not fit the row.
    pub(super) fn leaf(&mut self, rows: &Rows, place: RowPlace, values: &Values) -> Option<Hash> {
        self.fields(rows, values);
        let ((transaction, number), time) = (place.position, place.time);
        let redaction = redaction_of(values);
        let leaf = match redaction {
            None => {
                // A row that was never given a salt can be guessed; that is all it loses.
                let salt = self.salt(values);
                Some(self.hasher.finish(&rows.prepared, &salt, number, transaction, time))
            }
            Some(blob) => {
                let redaction = Redaction::parse(&blob).ok()?;
                if values.get(SALT).is_some() {
                    return None;
                }
                self.hasher.finish_redacted(&rows.prepared, &redaction, number, transaction, time).ok()
            }
        };
        if !self.makes_hints {
            return leaf;
        }
        let slot = |no: u16| rows.schema.fields.iter().position(|field| field.no == no);
        hint::add_commitments(self.hasher.commitments(), &mut self.hints, slot);
        leaf
    }

    /// The leaf of a row whose redaction does not fit it. It is sealed as it is, so that it does not keep others from
    /// being sealed, and no verification will pass it.
    pub(super) fn unfit_leaf(&mut self, rows: &Rows, place: RowPlace) -> Hash {
        let ((transaction, number), time) = (place.position, place.time);
        self.hasher.finish(&rows.prepared, &[0; 16], number, transaction, time)
    }

    /// The values of a row, in the order of the schema's fields.
    pub(super) fn values(&mut self, rows: &Rows, values: &Values) -> Vec<Value> {
        let fields = rows.readers.iter().enumerate().map(|(position, reader)| {
            self.text.clear();
            let value = values.get(FIELDS + position).map(|value| reader.write(value, &mut self.text));
            // What a reader has written can be read.
            value.and_then(|()| Value::decode(&self.text).ok()).unwrap_or(Value::Null)
        });
        fields.collect()
    }

    /// The salt of a row, zeros when it never had one.
    pub(super) fn salt(&self, values: &Values) -> [u8; 16] {
        values.get(SALT).map_or([0; 16], |salt| *tuple::fixed(salt))
    }

    /// What hashed the last row.
    pub(super) fn hasher(&self) -> &RowHasher {
        &self.hasher
    }

    /// The commitments of the row that was hashed last.
    pub(super) fn commitments(&self) -> impl Iterator<Item = Commitment<'_>> {
        self.hasher.commitments()
    }

    /// The record of the row that was hashed last.
    pub(super) fn record(&self) -> &[u8] {
        self.hasher.record()
    }

    fn fields(&mut self, rows: &Rows, values: &Values) {
        self.hasher.begin();
        self.hints.clear();
        for (position, (field, reader)) in rows.schema.fields.iter().zip(&rows.readers).enumerate() {
            let value = values.get(FIELDS + position);
            let mut hint = 0;
            match value {
                _ if !field.erasable => self.hasher.plain(field.no, |out| {
                    let start = out.len();
                    match value {
                        Some(value) => reader.write(value, out),
                        None => audit_guard_core::ledger::value::Encoder::new(out).null(),
                    }
                    if self.makes_hints {
                        hint = hint::of_value(&out[start..]);
                    }
                }),
                None => self.hasher.null(field.no),
                Some(value) => {
                    if !matches!(reader, Reader::Jsonb) || !self.members(field.no, value) {
                        self.hasher.scalar(field.no, |out| reader.write(value, out));
                    }
                }
            }
            if self.makes_hints {
                self.hints.push(hint);
            }
        }
    }

    /// An object with members is committed to member by member; false for any other jsonb.
    fn members(&mut self, no: u16, value: pgrx::pg_sys::Datum) -> bool {
        tuple::with_payload(value, |stored| {
            let Some(mut members) = jsonb_text::members(stored) else { return false };
            self.hasher.members(no, members.count() as u32);
            self.text.clear();
            while let Some(key) = members.next(&mut self.text) {
                self.hasher.member(no, key, &self.text);
                self.text.clear();
            }
            true
        })
    }
}

/// What a row that was redacted keeps of what was erased.
pub(super) fn redaction_of(values: &Values) -> Option<Vec<u8>> {
    values.get(REDACTION).map(|blob| tuple::with_payload(blob, <[u8]>::to_vec))
}
