//! Receipts are verified, away from the database.

use std::collections::BTreeMap;

use super::{Base64, Receipt, ReceiptField};
use crate::ledger::checkpoint::{Checkpoint, parse_decimal};
use crate::ledger::hash::{Hash, sha256};
use crate::ledger::note::{NoteError, VerifierKey};
use crate::ledger::proof::root_from_inclusion;
use crate::ledger::reader::push_prefixed;
use crate::ledger::record::{Kind, Record};
use crate::ledger::row::Form;
use crate::ledger::schema::{Field, Schema};
use crate::ledger::value::{TAG_APART, TAG_NULL, Value};
use crate::ledger::verdict::{Code, Verdict};

/// What a receipt is held against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// The keys whose signatures count.
    pub keys: &'a [VerifierKey],
    /// A checkpoint that was kept outside of the database, for the same size as the receipt's.
    pub checkpoint: Option<&'a str>,
}

/// What went wrong, and in words.
type Defect = (Code, String);

/// What a receipt shows. A text that is no receipt shows nothing: it counts as changed.
#[must_use]
pub fn verify(json: &str, trust: &Trust<'_>) -> Verdict {
    match Receipt::parse(json) {
        Ok(receipt) => receipt.verify(trust),
        Err(defect) => Verdict {
            code: Code::Modified,
            stream: None,
            id: None,
            leaf_index: None,
            detail: defect.to_string(),
        },
    }
}

impl Receipt {
    /// What it shows: `ok` when it agrees with a checkpoint that one of the keys signed, and
    /// `internally_consistent` when it agrees with itself only.
    #[must_use]
    pub fn verify(&self, trust: &Trust<'_>) -> Verdict {
        let leaf_index = parse_decimal(&self.leaf_index);
        let (code, detail) = match self.check(leaf_index, trust) {
            Ok(found) | Err(found) => found,
        };
        Verdict { code, stream: Some(self.stream.clone()), id: Some(self.id.clone()), leaf_index, detail }
    }

    fn check(&self, leaf_index: Option<u64>, trust: &Trust<'_>) -> Result<Defect, Defect> {
        let leaf_index = leaf_index.ok_or_else(|| modified("the index of the leaf is no number"))?;
        let record = self.check_record()?;
        let proof: Option<Vec<Hash>> = self.inclusion.iter().map(Base64::array).collect();
        let own = Checkpoint::parse_any(&self.checkpoint).map_err(|defect| bad_signature(&defect))?;
        let root = proof.and_then(|proof| root_from_inclusion(&record.leaf(), leaf_index, own.size, &proof));
        if root != Some(own.root) {
            return Err((Code::TreeMismatch, "the leaf does not lead to the root of the checkpoint".into()));
        }
        let signed = match Checkpoint::open(&self.checkpoint, trust.keys) {
            Ok((_, signed_by)) => signed_by.first().map(|by| by.key.name().to_owned()),
            Err(defect @ NoteError::BadSignature(_)) => return Err(bad_signature(&defect)),
            // No signature that counts; the checkpoint was read above.
            Err(NoteError::Unsigned | NoteError::Malformed(_)) => None,
        };
        let outside = trust.checkpoint.map(|note| compare(&own, note, trust.keys)).transpose()?;
        match (signed, outside) {
            (Some(name), _) => Ok((Code::Ok, format!("sealed in {}, signed by {name}", own.origin))),
            (None, Some(found)) => Ok(found),
            (None, None) => {
                let detail = "it agrees with itself; no trusted key signed its checkpoint";
                Ok((Code::InternallyConsistent, detail.to_owned()))
            }
        }
    }

    /// The record, when everything that is disclosed leads to it.
    fn check_record(&self) -> Result<Record, Defect> {
        let record = Record::parse(&self.record.0).filter(|record| record.kind == Kind::Row);
        let record = record.ok_or_else(|| modified("the record is not that of a row"))?;
        let schema = Schema::parse(&self.schema)
            .map_err(|defect| (Code::UnknownSchema, format!("the schema cannot be read: {defect}")))?;
        if schema.stream != self.stream || record.number.to_string() != self.id {
            return Err(modified("stream or id are not those of the record"));
        }
        let mut root = b"agr1".to_vec();
        root.extend_from_slice(&sha256(&[self.schema.as_bytes()]));
        root.extend_from_slice(&record.commitments.to_be_bytes());
        for hash in self.commitments(&schema)? {
            root.extend_from_slice(&hash);
        }
        let is_right = self.fields.len() as u64 == u64::from(record.commitments)
            && sha256(&[&root]) == record.fields_root;
        if is_right {
            Ok(record)
        } else {
            Err(modified("values, salts or schema are not those of the record"))
        }
    }

    /// The commitments, those of what is disclosed made from it.
    fn commitments(&self, schema: &Schema) -> Result<Vec<Hash>, Defect> {
        let mut counts: BTreeMap<u16, u32> = BTreeMap::new();
        let (group, parts) = self.fields.split_first().ok_or_else(|| modified("it has no fields"))?;
        let mut hashes = Vec::with_capacity(self.fields.len());
        let mut last = 0;
        for part in parts {
            let is_ordered = part.field >= last;
            last = part.field;
            // The fields of a schema that was read are in the order of their numbers.
            let at = schema.fields.binary_search_by_key(&part.field, |field| field.no);
            let field = at.ok().and_then(|at| schema.fields.get(at)).filter(|field| field.erasable);
            let field = field.filter(|field| is_ordered && part.column.as_ref() == Some(&field.name));
            let field = field.ok_or_else(|| modified("it has fields that the schema does not have"))?;
            *counts.entry(part.field).or_default() += 1;
            hashes.push(part.hash(field).ok_or_else(|| modified("a field cannot be read"))?);
        }
        let group = group.group_hash(schema, &counts);
        hashes.insert(0, group.ok_or_else(|| modified("the columns that cannot be erased cannot be read"))?);
        Ok(hashes)
    }
}

impl ReceiptField {
    /// The commitment to a part.
    fn hash(&self, field: &Field) -> Option<Hash> {
        if self.values.is_some() {
            return None;
        }
        let mut body = Vec::new();
        let form = match (self.form, &self.commitment) {
            (1 | 2, Some(commitment)) => {
                let is_alone = self.salt.is_none() && self.value.is_none() && self.key.is_none();
                return commitment.array().filter(|_| is_alone);
            }
            (1, None) if self.key.is_none() => {
                Value::parse_portable(field.kind, self.value.as_ref()?).ok()?.encode(&mut body);
                Form::Value
            }
            (2, None) => {
                push_prefixed(self.key.as_ref()?.as_bytes(), &mut body);
                Value::Jsonb(self.value.clone()?).encode(&mut body);
                Form::Member
            }
            _ => return None,
        };
        commitment(self.salt.as_ref()?, self.field, form, &body)
    }

    /// The commitment to the columns that cannot be erased. Of each other column it has how many commitments
    /// follow.
    fn group_hash(&self, schema: &Schema, counts: &BTreeMap<u16, u32>) -> Option<Hash> {
        let is_group = (self.field, self.form) == (0, 0)
            && self.column.is_none()
            && self.key.is_none()
            && self.value.is_none();
        if !is_group {
            return None;
        }
        if let Some(commitment) = &self.commitment {
            let is_alone = self.salt.is_none() && self.values.is_none();
            return commitment.array().filter(|_| is_alone);
        }
        let values = self.values.as_ref()?;
        let mut body = Vec::new();
        let mut plain = 0;
        for Field { no, name, kind, erasable } in &schema.fields {
            body.extend_from_slice(&no.to_be_bytes());
            match counts.get(no) {
                Some(count) => {
                    body.push(TAG_APART);
                    body.extend_from_slice(&count.to_be_bytes());
                }
                None if *erasable => body.push(TAG_NULL),
                None => {
                    plain += 1;
                    match values.get(name)? {
                        Some(text) => Value::parse_portable(*kind, text).ok()?.encode(&mut body),
                        None => Value::Null.encode(&mut body),
                    }
                }
            }
        }
        // Nothing is shown that is not in the commitment.
        (values.len() == plain).then_some(())?;
        commitment(self.salt.as_ref()?, 0, Form::Group, &body)
    }
}

fn commitment(salt: &Base64, field: u16, form: Form, body: &[u8]) -> Option<Hash> {
    let salt: [u8; 16] = salt.array()?;
    Some(sha256(&[b"agf1", &salt, &field.to_be_bytes(), &[form as u8], body]))
}

/// The receipt's checkpoint against one from outside.
fn compare(own: &Checkpoint, note: &str, keys: &[VerifierKey]) -> Result<Defect, Defect> {
    let outside = Checkpoint::parse_any(note).map_err(|defect| bad_signature(&defect))?;
    let signed_by = match Checkpoint::open(note, keys) {
        Ok((_, signed_by)) => signed_by.first().map(|by| by.key.name().to_owned()),
        Err(defect @ NoteError::BadSignature(_)) => return Err(bad_signature(&defect)),
        Err(NoteError::Unsigned | NoteError::Malformed(_)) => None,
    };
    if outside.size != own.size {
        let detail = format!(
            "the receipt holds for {} leaves and the checkpoint for {}: get a receipt for that checkpoint",
            own.size, outside.size
        );
        return Ok((Code::Stale, detail));
    }
    if outside.root != own.root {
        return Err((Code::Fork, "the checkpoint has another root for the same size".to_owned()));
    }
    Ok(match signed_by {
        Some(name) => (Code::Ok, format!("sealed in {}, signed by {name}", outside.origin)),
        None => {
            let detail = "it agrees with the checkpoint; no trusted key signed that";
            (Code::InternallyConsistent, detail.to_owned())
        }
    })
}

fn modified(detail: &str) -> Defect {
    (Code::Modified, detail.to_owned())
}

fn bad_signature(defect: &NoteError) -> Defect {
    (Code::BadSignature, format!("the checkpoint cannot be relied on: {defect}"))
}
