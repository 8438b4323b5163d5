//! The format as `docs/ledger-format.md` has it, written down plainly and slowly, apart from the code that it
//! checks.

use std::collections::BTreeMap;

use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::schema::Schema;
use audit_guard_core::ledger::value::Value;
use sha2::{Digest, Sha256};

pub(crate) fn sha(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

pub(crate) fn lp(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

pub(crate) fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// A row's number, transaction and time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) number: i64,
    pub(crate) transaction_id: i64,
    pub(crate) time: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Commitment {
    pub(crate) field: u16,
    pub(crate) form: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) salt: [u8; 16],
    pub(crate) hash: Hash,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) commitments: Vec<Commitment>,
    pub(crate) record: Vec<u8>,
    pub(crate) leaf: Hash,
}

/// Members by `serde_json`, which keeps their text as it is.
pub(crate) fn members(text: &str) -> Vec<(String, String)> {
    struct Pairs(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Pairs;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some((key, value)) =
                        map.next_entry::<String, Box<serde_json::value::RawValue>>()?
                    {
                        pairs.push((key, value.get().to_owned()));
                    }
                    Ok(Pairs(pairs))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Pairs>(text).map_or_else(|_| Vec::new(), |pairs| pairs.0)
}

pub(crate) fn row(schema: &Schema, schema_no: u32, values: &[Value], salt: [u8; 16], place: Place) -> Row {
    let mut group = Vec::new();
    let mut apart: Vec<(u16, u8, Vec<u8>, Vec<u8>)> = Vec::new();
    for (field, value) in schema.fields.iter().zip(values) {
        group.extend(field.no.to_be_bytes());
        if !field.erasable || *value == Value::Null {
            group.extend(encoded(value));
            continue;
        }
        let mut own = Vec::new();
        if let Value::Jsonb(text) = value {
            for (key, value) in members(text) {
                own.push((field.no, 2, key.into_bytes(), encoded(&Value::Jsonb(value))));
            }
        }
        if own.is_empty() {
            own.push((field.no, 1, Vec::new(), encoded(value)));
        }
        group.push(0x1f);
        group.extend((own.len() as u32).to_be_bytes());
        apart.extend(own);
    }
    let mut counts: BTreeMap<u16, u32> = BTreeMap::new();
    let commitments: Vec<Commitment> = std::iter::once((0, 0, Vec::new(), group))
        .chain(apart)
        .map(|(field, form, key, body)| {
            let next = counts.entry(field).or_default();
            let k = *next;
            *next += 1;
            let both = sha(&[b"ags1", &salt, &u16::to_be_bytes(field), &(k / 2).to_be_bytes()]);
            let salt: [u8; 16] = both[if k & 1 == 0 { 0..16 } else { 16..32 }].try_into().unwrap();
            let named = if form == 2 { lp(&key) } else { Vec::new() };
            let hash = sha(&[b"agf1", &salt, &u16::to_be_bytes(field), &[form], &named, &body]);
            Commitment { field, form, key, salt, hash }
        })
        .collect();
    let definition = sha(&[schema.definition().as_bytes()]);
    let count = (commitments.len() as u32).to_be_bytes();
    let hashes: Vec<u8> = commitments.iter().flat_map(|commitment| commitment.hash).collect();
    let root = sha(&[b"agr1", &definition, &count, &hashes]);
    let mut record = b"agl1\x01\0\0\0".to_vec();
    record.extend(schema_no.to_be_bytes());
    record.extend(count);
    record.extend(place.number.to_be_bytes());
    record.extend(place.transaction_id.to_be_bytes());
    record.extend(place.time.to_be_bytes());
    record.extend(root);
    let leaf = sha(&[&[0], &record]);
    Row { commitments, record, leaf }
}

/// The root as RFC 6962, 2.1 defines it.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha(&[&[1], &root(left), &root(right)])
        }
    }
}
