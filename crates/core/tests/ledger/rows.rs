//! Rows: the hasher against the reference, and what erasure leaves.

use audit_guard_core::ledger::record::{Kind, Record};
use audit_guard_core::ledger::redaction::{Redaction, State, Target};
use audit_guard_core::ledger::row::{Form, Misfit, RowHasher};
use audit_guard_core::ledger::schema::{Field, Schema};
use audit_guard_core::ledger::value::{Scalar, Type, Value};
use proptest::prelude::*;

use super::reference::{self, Place};
use super::values::{json, typed};

const PLACE: Place = Place { number: 4711, transaction_id: 815, time: 1_700_000_000_000_000 };

pub(crate) fn schema_of(kinds: &[(Type, bool)]) -> Schema {
    let field = |(index, (kind, erasable)): (usize, &(Type, bool))| Field {
        no: 3 * index as u16 + 2,
        name: format!("column {index}"),
        kind: *kind,
        erasable: *erasable,
    };
    Schema {
        stream_no: 1,
        stream: "audit_log".to_owned(),
        number: "id".to_owned(),
        time: "changed_at".to_owned(),
        fields: kinds.iter().enumerate().map(field).collect(),
    }
}

/// Columns: type, erasable, value.
pub(crate) fn columns() -> impl Strategy<Value = Vec<(Type, bool, Value)>> {
    let jsonb = json().prop_map(|text| (Type::Scalar(Scalar::Jsonb), Value::Jsonb(text)));
    let column = (prop_oneof![typed(), jsonb], any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |((kind, value), erasable, is_null)| (kind, erasable, if is_null { Value::Null } else { value }),
    );
    prop::collection::vec(column, 0..12)
}

fn hash(hasher: &mut RowHasher, schema: &Schema, values: &[Value], salt: [u8; 16]) -> [u8; 32] {
    hasher.begin();
    hasher.values(schema, values).unwrap();
    hasher.finish(&schema.prepare(5), &salt, PLACE.number, PLACE.transaction_id, PLACE.time)
}

fn hash_redacted(
    hasher: &mut RowHasher,
    schema: &Schema,
    values: &[Value],
    redaction: &Redaction,
) -> Result<[u8; 32], Misfit> {
    hasher.begin();
    hasher.values(schema, values).unwrap();
    let place = (PLACE.number, PLACE.transaction_id, PLACE.time);
    hasher.finish_redacted(&schema.prepare(5), redaction, place.0, place.1, place.2)
}

/// What a database does to the columns when `targets` are erased.
fn erase_values(schema: &Schema, values: &[Value], targets: &[(u16, Option<Vec<u8>>)]) -> Vec<Value> {
    let mut values = values.to_vec();
    for (field, value) in schema.fields.iter().zip(&mut values) {
        if targets.contains(&(field.no, None)) {
            *value = Value::Null;
        }
        if let Value::Jsonb(text) = value {
            let members = reference::members(text).into_iter().map(|(key, value)| {
                let is_erased = targets.contains(&(field.no, Some(key.clone().into_bytes())));
                let value = if is_erased { "null".to_owned() } else { value };
                format!("{}: {value}", serde_json::Value::String(key))
            });
            let members: Vec<String> = members.collect();
            if field.erasable && !members.is_empty() {
                *text = format!("{{{}}}", members.join(", "));
            }
        }
    }
    values
}

#[test]
fn a_row_by_hand() {
    let schema = schema_of(&[
        (Type::Scalar(Scalar::Int), false),
        (Type::Scalar(Scalar::Jsonb), true),
        (Type::Scalar(Scalar::Text), true),
    ]);
    let values =
        [Value::Int(7), Value::Jsonb(r#"{"a": 1, "bb": [2]}"#.to_owned()), Value::Text("x".to_owned())];
    let mut hasher = RowHasher::new();
    assert_eq!(hasher.commitments().count(), 0);
    let leaf = hash(&mut hasher, &schema, &values, [1; 16]);
    let expected = reference::row(&schema, 5, &values, [1; 16], PLACE);
    assert_eq!(leaf, expected.leaf);
    assert_eq!(hasher.record()[..], expected.record);
    let record = Record::parse(hasher.record()).unwrap();
    assert_eq!((record.kind, record.schema_no, record.commitments), (Kind::Row, 5, 4));
    assert_eq!((record.number, record.transaction_id), (PLACE.number, PLACE.transaction_id));
    assert_eq!(record.to_bytes(), *hasher.record());
    assert_eq!(record.leaf(), leaf);

    // Member by member gives the same as from the text.
    hasher.begin();
    hasher.plain(2, |out| Value::Int(7).encode(out));
    hasher.members(5, 2);
    hasher.member(5, b"a", b"1");
    hasher.member(5, b"bb", b"[2]");
    hasher.scalar(8, |out| Value::Text("x".to_owned()).encode(out));
    let place = (PLACE.number, PLACE.transaction_id, PLACE.time);
    assert_eq!(hasher.finish(&schema.prepare(5), &[1; 16], place.0, place.1, place.2), leaf);
}

#[test]
fn values_that_are_not_as_many() {
    let schema = schema_of(&[(Type::Scalar(Scalar::Int), false)]);
    let mut hasher = RowHasher::new();
    hasher.begin();
    assert_eq!(hasher.values(&schema, &[]), None);
}

#[test]
fn a_redacted_row_that_does_not_fit() {
    let schema = schema_of(&[(Type::Scalar(Scalar::Jsonb), true), (Type::Scalar(Scalar::Text), true)]);
    let object = |text: &str| Value::Jsonb(text.to_owned());
    let text = |text: &str| Value::Text(text.to_owned());
    let whole = [object(r#"{"a": 1, "b": 2}"#), text("x")];
    let mut hasher = RowHasher::new();
    let leaf = hash(&mut hasher, &schema, &whole, [1; 16]);
    let (redaction, erased) =
        Redaction::erase(&hasher, &[Target { field: 2, key: Some(b"a") }, Target { field: 5, key: None }])
            .unwrap();
    assert_eq!(erased, 2);
    let kept = object(r#"{"a": null, "b": 2}"#);
    assert_eq!(hash_redacted(&mut hasher, &schema, &[kept.clone(), Value::Null], &redaction), Ok(leaf));
    let salts: Vec<bool> = hasher.commitments().map(|commitment| commitment.salt.is_some()).collect();
    assert_eq!(salts, [true, false, true, false]);
    for (values, field) in [
        ([object(r#"{"a": 1, "b": 2}"#), Value::Null], 2),
        ([object(r#"{"a": null, "c": 2}"#), Value::Null], 2),
        ([object(r#"{"a": null}"#), Value::Null], 2),
        ([object(r#"{"a": null, "b": 2, "c": 3}"#), Value::Null], 2),
        ([object("{}"), Value::Null], 2),
        ([object("7"), Value::Null], 2),
        ([Value::Null, Value::Null], 2),
        ([kept.clone(), text("x")], 5),
        ([kept.clone(), text("null")], 5),
        ([kept.clone(), object("null")], 5),
    ] {
        let found = hash_redacted(&mut hasher, &schema, &values, &redaction);
        assert_eq!(found, Err(Misfit { field }), "{values:?}");
        assert_eq!(hasher.commitments().count(), 0);
    }
    // What is kept counts.
    let other = [object(r#"{"a": null, "b": 3}"#), Value::Null];
    assert_ne!(hash_redacted(&mut hasher, &schema, &other, &redaction), Ok(leaf));
    // A field without commitments, and commitments without a field.
    let mut short = schema.clone();
    short.fields.pop();
    let found = hash_redacted(&mut hasher, &short, &[kept], &redaction);
    assert_eq!(found, Err(Misfit { field: 5 }));
    let (nothing, _) = {
        hash(&mut hasher, &schema, &[Value::Null, Value::Null], [1; 16]);
        Redaction::erase(&hasher, &[Target { field: 5, key: None }]).unwrap()
    };
    let found = hash_redacted(&mut hasher, &schema, &[Value::Null, text("y")], &nothing);
    assert_eq!(found, Err(Misfit { field: 5 }));
}

#[test]
fn blobs_that_are_no_redaction() {
    let kept = |field: u16, form: u8| {
        let mut entry = field.to_be_bytes().to_vec();
        entry.extend([form, 0]);
        entry.extend([9; 16]);
        if form == 2 {
            entry.extend([0, 0, 0, 1, b'k']);
        }
        entry
    };
    let blob = |entries: &[Vec<u8>]| {
        let mut blob = vec![1];
        blob.extend((entries.len() as u32).to_be_bytes());
        blob.extend(entries.concat());
        blob
    };
    let good = blob(&[kept(0, 0), kept(3, 1), kept(4, 2), kept(4, 2)]);
    assert_eq!(Redaction::parse(&good).unwrap().to_bytes(), good);
    let mut erased_group = blob(&[kept(0, 0)]);
    erased_group[8] = 1;
    erased_group.extend([0; 16]);
    let mut version = good.clone();
    version[0] = 2;
    for bad in [
        vec![],
        version,
        blob(&[]),
        blob(&[kept(3, 1)]),
        blob(&[kept(1, 0)]),
        blob(&[kept(0, 0), kept(0, 0)]),
        blob(&[kept(0, 0), kept(0, 1)]),
        blob(&[kept(0, 0), kept(3, 1), kept(3, 1)]),
        blob(&[kept(0, 0), kept(3, 1), kept(3, 2)]),
        blob(&[kept(0, 0), kept(3, 2), kept(3, 1)]),
        blob(&[kept(0, 0), kept(4, 1), kept(3, 1)]),
        blob(&[kept(0, 0), kept(4, 3)]),
        [&good[..], &[0]].concat(),
        good[..good.len() - 1].to_vec(),
        b"\x01\xff\xff\xff\xff".to_vec(),
        erased_group,
    ] {
        assert!(Redaction::parse(&bad).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn rows_are_as_the_reference_has_them(
        rows in prop::collection::vec((columns(), any::<[u8; 16]>()), 1..3),
    ) {
        // One hasher: nothing of a row is left for the next.
        let mut hasher = RowHasher::new();
        for (columns, salt) in rows {
            let kinds: Vec<_> = columns.iter().map(|(kind, erasable, _)| (*kind, *erasable)).collect();
            let values: Vec<_> = columns.into_iter().map(|(_, _, value)| value).collect();
            let schema = schema_of(&kinds);
            let expected = reference::row(&schema, 5, &values, salt, PLACE);
            prop_assert_eq!(hash(&mut hasher, &schema, &values, salt), expected.leaf);
            prop_assert_eq!(&hasher.record()[..], &expected.record[..]);
            let found: Vec<_> = hasher.commitments().map(|found| reference::Commitment {
                field: found.field,
                form: found.form as u8,
                key: found.key.to_vec(),
                salt: found.salt.unwrap(),
                hash: found.hash,
            }).collect();
            prop_assert_eq!(found, expected.commitments);
        }
    }

    #[test]
    fn what_was_erased_leaves_the_leaf(
        columns in columns(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        later in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        wholes in any::<bool>(),
    ) {
        let kinds: Vec<_> = columns.iter().map(|(kind, erasable, _)| (*kind, *erasable)).collect();
        let mut values: Vec<_> = columns.into_iter().map(|(_, _, value)| value).collect();
        let schema = schema_of(&kinds);
        let mut hasher = RowHasher::new();
        let leaf = hash(&mut hasher, &schema, &values, [3; 16]);
        let mut all_targets = Vec::new();
        for picks in [picks, later] {
            let parts: Vec<_> = hasher.commitments().skip(1)
                .map(|part| (part.field, (part.form == Form::Member && !wholes).then(|| part.key.to_vec())))
                .collect();
            if parts.is_empty() {
                return Ok(());
            }
            let targets: Vec<_> = picks.iter().map(|pick| pick.get(&parts).clone()).collect();
            let borrowed: Vec<_> = targets.iter()
                .map(|(field, key)| Target { field: *field, key: key.as_deref() }).collect();
            let (redaction, _) = Redaction::erase(&hasher, &borrowed).unwrap();
            prop_assert_eq!(&Redaction::parse(&redaction.to_bytes()).unwrap(), &redaction);
            values = erase_values(&schema, &values, &targets);
            prop_assert_eq!(hash_redacted(&mut hasher, &schema, &values, &redaction), Ok(leaf));
            all_targets.extend(targets);
            for (commitment, entry) in hasher.commitments().zip(redaction.entries()) {
                let is_target = all_targets.iter().any(|(field, key)| *field == commitment.field
                    && key.as_deref().is_none_or(|key| key == commitment.key));
                prop_assert_eq!(matches!(entry.state, State::Erased(_)), is_target);
                prop_assert_eq!(commitment.salt.is_none(), is_target);
            }
        }
    }

    #[test]
    fn any_blob_is_read_or_refused(bytes in any::<Vec<u8>>()) {
        if let Ok(redaction) = Redaction::parse(&bytes) {
            prop_assert_eq!(redaction.to_bytes(), bytes);
        }
    }
}
