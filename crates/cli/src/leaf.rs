//! Rows into leaves, whether their values come from a server or from a file.

use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::hint;
use audit_guard_core::ledger::redaction::{Redaction, State};
use audit_guard_core::ledger::row::{Form, RowHasher};
use audit_guard_core::ledger::schema::Field;
use audit_guard_core::ledger::value::{Encoder, Scalar, Type, Value};

use crate::binary;
use crate::facts::KnownSchema;

/// A value as its source has it.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// Sent by a server; None is NULL.
    Binary(Option<&'a [u8]>),
    /// Written in a bundle; None is NULL.
    Portable(Option<&'a str>),
}

impl Cell<'_> {
    fn is_null(&self) -> bool {
        matches!(self, Cell::Binary(None) | Cell::Portable(None))
    }

    /// The value; `None` when it is not of this type.
    pub(crate) fn value(&self, kind: Type) -> Option<Value> {
        match self {
            Cell::Binary(Some(bytes)) => binary::value(kind, bytes),
            Cell::Portable(Some(text)) => Value::parse_portable(kind, text).ok(),
            Cell::Binary(None) | Cell::Portable(None) => Some(Value::Null),
        }
    }

    /// Appends what stands for the value; false when it is not of this type. The usual types go without an
    /// allocation.
    fn encode(&self, kind: Type, out: &mut Vec<u8>) -> bool {
        let mut encoder = Encoder::new(out);
        match (kind, self) {
            (Type::Scalar(Scalar::Text), Cell::Binary(Some(bytes))) => encoder.text(bytes),
            (Type::Scalar(Scalar::Text), Cell::Portable(Some(text))) => encoder.text(text.as_bytes()),
            (Type::Scalar(Scalar::Jsonb), Cell::Binary(Some([1, text @ ..]))) => encoder.jsonb(text),
            (Type::Scalar(Scalar::Jsonb), Cell::Portable(Some(text))) => encoder.jsonb(text.as_bytes()),
            (_, Cell::Binary(None) | Cell::Portable(None)) => encoder.null(),
            _ => match self.value(kind) {
                Some(value) => value.encode(out),
                None => return false,
            },
        }
        true
    }

    /// A jsonb's text.
    fn json(&self) -> Option<&str> {
        match self {
            Cell::Binary(Some([1, text @ ..])) => std::str::from_utf8(text).ok(),
            Cell::Portable(Some(text)) => Some(text),
            _ => None,
        }
    }
}

/// What of a row is not a field.
#[derive(Clone, Copy)]
pub(crate) struct RowHead<'a> {
    pub(crate) stream_no: u16,
    pub(crate) transaction_id: i64,
    pub(crate) number: i64,
    /// Microseconds since 1970.
    pub(crate) time: i64,
    pub(crate) salt: Option<&'a [u8]>,
    pub(crate) redaction: Option<&'a [u8]>,
}

/// Hashes rows, and keeps its memory.
#[derive(Default)]
pub(crate) struct LeafMaker {
    hasher: RowHasher,
    scratch: Vec<u8>,
}

impl LeafMaker {
    /// The leaf of a row; `None` when the row gives none: a value of another type than the schema has, or a
    /// redaction that does not fit.
    pub(crate) fn leaf<'a>(
        &mut self,
        known: &KnownSchema,
        row: &RowHead<'_>,
        cell: impl Fn(usize) -> Cell<'a>,
    ) -> Option<Hash> {
        self.hasher.begin();
        let mut fits = true;
        for (place, field) in known.schema.fields.iter().enumerate() {
            let (no, kind, cell) = (field.no, field.kind, cell(place));
            match kind {
                _ if !field.erasable => self.hasher.plain(no, |out| fits &= cell.encode(kind, out)),
                _ if cell.is_null() => self.hasher.null(no),
                Type::Scalar(Scalar::Jsonb) => self.hasher.jsonb(no, cell.json()?),
                _ => self.hasher.scalar(no, |out| fits &= cell.encode(kind, out)),
            }
        }
        if !fits {
            return None;
        }
        let RowHead { number, transaction_id, time, .. } = *row;
        match row.redaction {
            None => {
                // A row of a log that has no salt; its commitments can be guessed, and that is all.
                let salt = row.salt.map_or(Some([0; 16]), |salt| salt.try_into().ok())?;
                Some(self.hasher.finish(&known.prepared, &salt, number, transaction_id, time))
            }
            Some(_) if row.salt.is_some() => None,
            Some(blob) => {
                let redaction = Redaction::parse(blob).ok()?;
                self.hasher.finish_redacted(&known.prepared, &redaction, number, transaction_id, time).ok()
            }
        }
    }

    /// The record of the row that was hashed last.
    pub(crate) fn record(&self) -> &[u8; 72] {
        self.hasher.record()
    }

    /// A byte per field of the row that was hashed last, as it is kept beside the leaves to tell which field
    /// was changed.
    pub(crate) fn hints<'a>(&mut self, known: &KnownSchema, cell: impl Fn(usize) -> Cell<'a>) -> Vec<u8> {
        let fields = &known.schema.fields;
        let mut hints = vec![0; fields.len()];
        for (place, (field, hint)) in fields.iter().zip(&mut hints).enumerate() {
            if !field.erasable {
                self.scratch.clear();
                cell(place).encode(field.kind, &mut self.scratch);
                *hint = hint::of_value(&self.scratch);
            }
        }
        let slot = |no: u16| fields.iter().position(|field| field.no == no);
        hint::add_commitments(self.hasher.commitments(), &mut hints, slot);
        hints
    }
}

/// What was erased of a row: names of fields, and of a field's members with the member's key.
pub(crate) fn erased(known: &KnownSchema, blob: &[u8]) -> Vec<(String, Option<String>)> {
    let Ok(redaction) = Redaction::parse(blob) else { return Vec::new() };
    let erased = redaction.entries().iter().filter(|entry| matches!(entry.state, State::Erased(_)));
    erased
        .map(|entry| {
            let is_own = |field: &&Field| field.no == entry.field;
            let field =
                known.schema.fields.iter().find(is_own).map_or_else(String::new, |field| field.name.clone());
            let key = (entry.form == Form::Member).then(|| String::from_utf8_lossy(&entry.key).into_owned());
            (field, key)
        })
        .collect()
}
