//! Receipts are made.

use std::fmt;

use super::{Base64, Receipt, ReceiptField, VERSION};
use crate::ledger::hash::Hash;
use crate::ledger::json::json_members;
use crate::ledger::redaction::Redaction;
use crate::ledger::row::{Commitment, Form, Misfit, RowHasher};
use crate::ledger::schema::Schema;
use crate::ledger::value::Value;

/// A sealed row and where it is in the tree.
#[derive(Debug, Clone, Copy)]
pub struct Sealed<'a> {
    /// The schema under which it was sealed.
    pub schema: &'a Schema,
    /// The number of that schema.
    pub schema_no: u32,
    /// The values of the schema's fields, in their order.
    pub values: &'a [Value],
    /// The row's number in the stream.
    pub number: i64,
    /// The transaction that wrote it.
    pub transaction_id: i64,
    /// Its time, microseconds since 1970.
    pub time: i64,
    /// What its commitments are made with.
    pub protection: Protection<'a>,
    /// Its leaf.
    pub leaf_index: u64,
    /// The proof of inclusion in the tree of `checkpoint`.
    pub inclusion: &'a [Hash],
    /// A checkpoint: a note, or only its text.
    pub checkpoint: &'a str,
}

/// What the commitments of a row are made with.
#[derive(Debug, Clone, Copy)]
pub enum Protection<'a> {
    /// The salt; of a row without one, sixteen zeros.
    Salt(&'a [u8; 16]),
    /// What was left when something was erased.
    Redaction(&'a Redaction),
}

/// Why there is no receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptError {
    /// The schema has no such column.
    UnknownColumn(String),
    /// There are more values than fields in the schema, or fewer.
    WrongValues,
    /// The row is not as its redaction says.
    Misfit(Misfit),
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownColumn(name) => write!(f, "the row was sealed without a column {name}"),
            Self::WrongValues => f.write_str("the row has other columns than it was sealed with"),
            Self::Misfit(Misfit { field }) => {
                write!(f, "field {field} of the row is not what its redaction says")
            }
        }
    }
}

impl std::error::Error for ReceiptError {}

/// The receipt of a row that discloses these columns, or all that are still there.
///
/// The columns that cannot be erased are disclosed together. The columns of number and time are in every
/// receipt.
///
/// # Errors
///
/// [`ReceiptError`].
pub fn build(row: &Sealed<'_>, disclose: Option<&[&str]>) -> Result<Receipt, ReceiptError> {
    let schema = row.schema;
    for name in disclose.unwrap_or_default() {
        if schema.field(name).is_none() && schema.number != *name && schema.time != *name {
            return Err(ReceiptError::UnknownColumn((*name).to_owned()));
        }
    }
    let hasher = hash(row)?;
    let is_asked = |name: &str| disclose.is_none_or(|names| names.contains(&name));
    let mut members = MemberTexts::default();
    let fields =
        hasher.commitments().map(|commitment| receipt_field(row, &commitment, &is_asked, &mut members));
    Ok(Receipt {
        audit_guard_receipt: VERSION,
        stream: schema.stream.clone(),
        id: row.number.to_string(),
        leaf_index: row.leaf_index.to_string(),
        record: Base64(hasher.record().to_vec()),
        schema: schema.definition(),
        fields: fields.collect(),
        inclusion: row.inclusion.iter().map(|hash| Base64(hash.to_vec())).collect(),
        checkpoint: row.checkpoint.to_owned(),
    })
}

fn hash(row: &Sealed<'_>) -> Result<RowHasher, ReceiptError> {
    let schema = row.schema.prepare(row.schema_no);
    let mut hasher = RowHasher::new();
    hasher.begin();
    hasher.values(row.schema, row.values).ok_or(ReceiptError::WrongValues)?;
    let Sealed { number, transaction_id, time, .. } = *row;
    match row.protection {
        Protection::Salt(salt) => {
            hasher.finish(&schema, salt, number, transaction_id, time);
        }
        Protection::Redaction(redaction) => {
            hasher
                .finish_redacted(&schema, redaction, number, transaction_id, time)
                .map_err(ReceiptError::Misfit)?;
        }
    }
    Ok(hasher)
}

fn receipt_field(
    row: &Sealed<'_>,
    commitment: &Commitment<'_>,
    is_asked: &impl Fn(&str) -> bool,
    members: &mut MemberTexts,
) -> ReceiptField {
    let Commitment { field, form, hash, salt, .. } = *commitment;
    let mut fields = row.schema.fields.iter().zip(row.values);
    let plain = || row.schema.fields.iter().zip(row.values).filter(|(field, _)| !field.erasable);
    let column = fields.find(|(known, _)| known.no == field);
    let is_disclosed = match column {
        Some((known, _)) => is_asked(&known.name),
        None => plain().any(|(field, _)| is_asked(&field.name)) || plain().next().is_none(),
    };
    let text = column.and_then(|(_, value)| members.next(commitment, value));
    let mut document = ReceiptField { field, form: form as u8, ..ReceiptField::default() };
    document.column = column.map(|(field, _)| field.name.clone());
    let Some(salt) = salt.filter(|_| is_disclosed) else {
        document.commitment = Some(Base64(hash.to_vec()));
        return document;
    };
    document.salt = Some(Base64(salt.to_vec()));
    match (form, column) {
        (Form::Member, Some(_)) => {
            document.key = Some(String::from_utf8_lossy(commitment.key).into_owned());
            document.value = text;
        }
        (_, Some((_, value))) => document.value = value.portable(),
        (_, None) => {
            let values = plain().map(|(field, value)| (field.name.clone(), value.portable()));
            document.values = Some(values.collect());
        }
    }
    document
}

/// The texts of a JSON object's members, which come in the order of the commitments.
#[derive(Default)]
struct MemberTexts {
    field: u16,
    texts: std::vec::IntoIter<String>,
}

impl MemberTexts {
    /// The text of a commitment's member; `value` is that of its column.
    fn next(&mut self, commitment: &Commitment<'_>, value: &Value) -> Option<String> {
        let Value::Jsonb(text) = value else { return None };
        if commitment.field != self.field {
            let members = json_members(text).unwrap_or_default();
            let texts: Vec<String> = members.into_iter().map(|(_, text)| text.to_owned()).collect();
            *self = Self { field: commitment.field, texts: texts.into_iter() };
        }
        self.texts.next()
    }
}
