//! The golden vectors, `tests/vectors/ledger-v1.json`: what version 1 of the format gives, for whoever writes
//! it anew. They never change; `LEDGER_VECTORS_WRITE=1` writes them, for a new version.

use std::fmt::Write;
use std::path::PathBuf;

use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::entries::{EntriesWriter, Entry};
use audit_guard_core::ledger::header::{SealHeader, SealKind};
use audit_guard_core::ledger::note::{Algorithm, SignerKey, sign};
use audit_guard_core::ledger::proof::{consistency, inclusion};
use audit_guard_core::ledger::receipt::{Protection, Sealed, build};
use audit_guard_core::ledger::redaction::{Redaction, Target};
use audit_guard_core::ledger::row::RowHasher;
use audit_guard_core::ledger::schema::Schema;
use audit_guard_core::ledger::tlog_proof::TlogProof;
use audit_guard_core::ledger::tree::Frontier;
use audit_guard_core::ledger::value::{Type, Value};
use serde_json::{Value as Json, json};

use super::headers::HEADER;
use super::reference::{self, Place, encoded, root, sha};
use super::tree::leaves;

/// Types and portable texts.
const VALUES: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("int", &["0", "1", "-1", "255", "-32768", "2147483647", "9223372036854775807", "-9223372036854775808"]),
    (
        "numeric",
        &["0", "1.50", "1.5", "-0.001", "123456789012345678901234567890", "NaN", "Infinity", "-Infinity"],
    ),
    (
        "float",
        &[
            "0000000000000000",
            "8000000000000000",
            "3ff8000000000000",
            "7ff0000000000000",
            "fff0000000000000",
            "7ff8000000000000",
            "fff8000000000001",
            "0000000000000001",
        ],
    ),
    ("text", &["", "a", "Ünï \"q\"", "two\nlines", "\u{1f600}", " padded ", "null"]),
    ("bytea", &["", "00", "deadbeef", "5c78303041"]),
    ("timestamptz", &["0", "1767322983600000", "-1", "9223372036854775807", "-9223372036854775808"]),
    ("timestamp", &["0", "1767322983600000", "-62135596800000000", "9223372036854775807"]),
    ("date", &["0", "20455", "-719162", "2147483647", "-2147483648"]),
    ("time", &["0", "86399999999", "86400000000"]),
    ("interval", &["0 0 0", "14 3 14706000000", "-1 2 -3"]),
    ("uuid", &["00000000000000000000000000000000", "0c0ffee0000040008000000000000001"]),
    (
        "inet",
        &["192.0.2.7/32", "10.1.2.3/8", "cidr 10.0.0.0/8", "::1/128", "2001:db8::/32", "cidr 2001:db8::/32"],
    ),
    (
        "jsonb",
        &[
            "null",
            "7",
            "\"x\"",
            "{}",
            "[]",
            "{\"a\": 1, \"bb\": [1, null, {\"c\": \"d\"}]}",
            "12345678901234567890.50",
            "[1.0, 1.00]",
        ],
    ),
    ("u64", &["0", "815", "18446744073709551615"]),
    (
        "array:int",
        &[
            r#"{"dims":[],"items":[]}"#,
            r#"{"dims":[[1,3]],"items":["1",null,"-3"]}"#,
            r#"{"dims":[[0,2],[5,2]],"items":["1","2","3","4"]}"#,
        ],
    ),
    ("array:text", &[r#"{"dims":[[1,2]],"items":["a, b","NULL"]}"#, r#"{"dims":[[1,1]],"items":[""]}"#]),
    ("array:uuid", &[r#"{"dims":[[1,1]],"items":["0c0ffee0000040008000000000000001"]}"#]),
    ("array:bool", &[r#"{"dims":[[-1,2]],"items":["true","false"]}"#]),
    ("array:jsonb", &[r#"{"dims":[[1,2]],"items":["{\"a\": 1}","null"]}"#]),
    ("array:timestamptz", &[r#"{"dims":[[1,1]],"items":["1767322983600000"]}"#]),
    ("array:inet", &[r#"{"dims":[[1,1]],"items":["::1/128"]}"#]),
];

const SMALL: &str = "audit_guard schema 1\nstream 100 orders_log\nnumber id\ntime at\n\
    field 2 text plain what\nfield 5 text erasable who\nfield 6 jsonb erasable old\n";
const MANY: &str = "audit_guard schema 1\nstream 101 Ünï \"q\"\\nt\nnumber no\ntime at\n\
    field 1 bool plain b\nfield 2 int plain i\nfield 3 numeric plain n\nfield 4 array:text erasable list\n\
    field 9 inet erasable ip\nfield 10 u64 plain xid\nfield 11 jsonb plain back\\\\slash\n";

/// Definition, values, salt, number, transaction, time.
type Row = (&'static str, &'static [Option<&'static str>], u8, i64, i64, i64);

const ROWS: &[Row] = &[
    (
        SMALL,
        &[Some("INSERT"), Some("ada"), Some("{\"a\": 1, \"iban\": \"DE02\"}")],
        0x11,
        7,
        815,
        1_767_322_983_600_000,
    ),
    (SMALL, &[Some("INSERT"), Some(""), Some("{}")], 0x22, 8, 815, 1_767_322_983_600_001),
    (SMALL, &[Some("DELETE"), None, None], 0x33, 9, 816, -1),
    (SMALL, &[None, Some("Ünï"), Some("[1, 2]")], 0x00, i64::MAX, i64::MAX, i64::MIN),
    (
        SMALL,
        &[Some("x"), None, Some("{\"\": null, \"ä\": {\"a\": {\"b\": []}}, \"k\\\"\\n\": \"}\"}")],
        0x44,
        10,
        817,
        0,
    ),
    (
        MANY,
        &[
            Some("true"),
            Some("-7"),
            Some("1.50"),
            Some(r#"{"dims":[[1,2]],"items":["a",null]}"#),
            Some("192.0.2.7/32"),
            Some("815"),
            Some("{\"a\": 1}"),
        ],
        0x55,
        -3,
        818,
        1,
    ),
    (MANY, &[None, None, None, None, None, None, None], 0x66, 0, 0, 0),
];

/// Which row, what is erased, the values afterwards.
type Erasure = (usize, &'static [(u16, Option<&'static str>)], &'static [Option<&'static str>]);

const ERASURES: &[Erasure] = &[
    (0, &[(5, None)], &[Some("INSERT"), None, Some("{\"a\": 1, \"iban\": \"DE02\"}")]),
    (0, &[(6, Some("iban"))], &[Some("INSERT"), Some("ada"), Some("{\"a\": 1, \"iban\": null}")]),
    (0, &[(5, None), (6, None)], &[Some("INSERT"), None, None]),
    (1, &[(6, None)], &[Some("INSERT"), Some(""), None]),
    (3, &[(6, None)], &[None, Some("Ünï"), None]),
    (2, &[], &[Some("DELETE"), None, None]),
];

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn parse(schema: &Schema, texts: &[Option<&str>]) -> Vec<Value> {
    let fields = schema.fields.iter().zip(texts);
    fields
        .map(|(field, text)| {
            text.map_or(Value::Null, |text| Value::parse_portable(field.kind, text).unwrap())
        })
        .collect()
}

fn values() -> Json {
    let mut all = vec![json!({"type": "any", "portable": null, "bytes": hex(encoded(&Value::Null))})];
    for (kind, texts) in VALUES {
        for text in *texts {
            let value = Value::parse_portable(Type::parse(kind).unwrap(), text).unwrap();
            all.push(json!({"type": kind, "portable": text, "bytes": hex(encoded(&value))}));
        }
    }
    Json::from(all)
}

fn row(definition: &str, texts: &[Option<&str>], salt: u8, place: Place) -> (Json, RowHasher, Schema) {
    let schema = Schema::parse(definition).unwrap();
    let values = parse(&schema, texts);
    let slow = reference::row(&schema, 5, &values, [salt; 16], place);
    let mut hasher = RowHasher::new();
    hasher.begin();
    hasher.values(&schema, &values).unwrap();
    let Place { number, transaction_id, time } = place;
    let leaf = hasher.finish(&schema.prepare(5), &[salt; 16], number, transaction_id, time);
    assert_eq!(leaf, slow.leaf);
    let commitments: Vec<Json> = slow
        .commitments
        .iter()
        .map(|part| {
            let key = (part.form == 2).then(|| String::from_utf8(part.key.clone()).unwrap());
            let (salt, hash) = (hex(part.salt), hex(part.hash));
            json!({"field": part.field, "form": part.form, "key": key, "salt": salt, "hash": hash})
        })
        .collect();
    let json = json!({
        "schema": definition, "schema_sha256": hex(schema.sha256()), "schema_no": 5, "values": texts,
        "salt": hex([salt; 16]), "number": number.to_string(), "transaction_id": transaction_id.to_string(),
        "time": time.to_string(), "commitments": commitments, "record": hex(&slow.record), "leaf": hex(leaf),
    });
    (json, hasher, schema)
}

fn rows() -> (Vec<Json>, Vec<Json>) {
    let place = |row: &Row| Place { number: row.3, transaction_id: row.4, time: row.5 };
    let rows = ROWS.iter().map(|each| row(each.0, each.1, each.2, place(each)).0).collect();
    let redactions = ERASURES.iter().map(|(index, erased, after)| {
        let each = &ROWS[*index];
        let (whole, mut hasher, schema) = row(each.0, each.1, each.2, place(each));
        let targets: Vec<Target<'_>> =
            erased.iter().map(|(field, key)| Target { field: *field, key: key.map(str::as_bytes) }).collect();
        let (redaction, _) = Redaction::erase(&hasher, &targets).unwrap();
        hasher.begin();
        hasher.values(&schema, &parse(&schema, after)).unwrap();
        let leaf = hasher.finish_redacted(&schema.prepare(5), &redaction, each.3, each.4, each.5).unwrap();
        assert_eq!(whole["leaf"], hex(leaf));
        let erased: Vec<Json> =
            erased.iter().map(|(field, key)| json!({"field": field, "key": key})).collect();
        json!({
            "row": index, "erased": erased, "values": after, "redaction": hex(redaction.to_bytes()),
            "leaf": hex(leaf),
        })
    });
    (rows, redactions.collect())
}

fn entries() -> Json {
    let entry = |stream_no, schema_no, month, transaction_id, number| Entry {
        stream_no,
        schema_no,
        month,
        transaction_id,
        number,
    };
    let lists = [
        vec![],
        vec![entry(1, 5, 24_312, 815, 7)],
        vec![entry(1, 5, 24_312, 815, 7), entry(1, 5, 24_312, 815, 8), entry(1, 5, 24_312, 1_000_000, 9)],
        vec![entry(1, 5, 24_311, 815, 7), entry(1, 5, 24_312, 815, 8), entry(1, 6, 24_312, 816, 3)],
        vec![entry(1, 5, 24_312, 815, 7), entry(2, 1, 24_312, 815, 1), entry(100, 7, 24_312, 3, -1)],
        vec![entry(6, 1, 0, 0, i64::MIN), entry(6, 1, 0, 0, i64::MAX), entry(6, 1, 0, i64::MAX, 0)],
    ];
    let lists = lists.into_iter().map(|list| {
        let mut writer = EntriesWriter::new();
        list.iter().for_each(|entry| writer.push(*entry).unwrap());
        let rows: Vec<Json> = list
            .iter()
            .map(|entry| {
                json!({
                    "stream_no": entry.stream_no, "schema_no": entry.schema_no, "month": entry.month,
                    "transaction_id": entry.transaction_id.to_string(), "number": entry.number.to_string(),
                })
            })
            .collect();
        json!({"rows": rows, "bytes": hex(writer.finish())})
    });
    lists.collect()
}

fn headers() -> Json {
    let first = SealHeader {
        seal_no: 1,
        incarnation: 1,
        batch: 1,
        chunk: 0,
        kind: SealKind::Window,
        prev_snapshot: "3:3:",
        snapshot: "740:745:742",
        first_leaf: 0,
        rows: 0,
        oldest_at: 0,
        newest_at: 0,
        entries_sha256: sha(&[&[1]]),
        origin: "audit_guard/7431/16384",
        ..HEADER
    };
    let noted = SealHeader {
        checkpoint_note: "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        ..HEADER
    };
    let open = SealHeader { is_last: false, ..HEADER };
    let headers = [first, HEADER, noted, open].map(|header| {
        json!({
            "seal_no": header.seal_no, "incarnation": header.incarnation, "batch": header.batch,
            "chunk": header.chunk, "is_last": header.is_last, "kind": header.kind as u8,
            "prev_snapshot": header.prev_snapshot, "snapshot": header.snapshot, "first_leaf": header.first_leaf,
            "rows": header.rows, "oldest_at": header.oldest_at.to_string(),
            "newest_at": header.newest_at.to_string(), "entries_sha256": hex(header.entries_sha256),
            "sealed_at": header.sealed_at.to_string(), "origin": header.origin,
            "checkpoint_note": header.checkpoint_note, "body": hex(header.body()),
            "record": hex(header.record()), "leaf": hex(header.leaf()),
        })
    });
    headers.into_iter().collect()
}

/// Trees of which leaf n is the hash of n as eight bytes.
fn trees() -> Json {
    let trees = [0_usize, 1, 2, 3, 7, 8, 255, 256, 257, 600].map(|size| {
        let all = leaves(size);
        let mut tree = Frontier::new();
        tree.extend(&all, &mut |_, _, _| {});
        assert_eq!(tree.root(), root(&all));
        let list =
            |proof: Option<Vec<[u8; 32]>>| proof.map(|proof| proof.iter().map(hex).collect::<Vec<_>>());
        let (third, size) = (size as u64 / 3, size as u64);
        json!({
            "size": size, "root": hex(tree.root()), "frontier": hex(tree.to_bytes()),
            "inclusion": {"index": third, "proof": list(inclusion(&all[..], third, size))},
            "consistency": {"size": third, "proof": list(consistency(&all[..], third, size))},
        })
    });
    trees.into_iter().collect()
}

fn documents() -> Json {
    let key = SignerKey::new("log.example", Algorithm::Ed25519, &[7; 32]).unwrap();
    let witness = SignerKey::new("witness.example", Algorithm::Cosignature, &[8; 32]).unwrap();
    let (each, mut all) = (&ROWS[0], leaves(5));
    let place = Place { number: each.3, transaction_id: each.4, time: each.5 };
    let (_, hasher, schema) = row(each.0, each.1, each.2, place);
    all[3] = sha(&[&[0], hasher.record()]);
    let origin = "log.example".to_owned();
    let text = Checkpoint { origin, size: 5, root: root(&all), extensions: vec![] }.to_string();
    let note = sign(&text, &[&key]) + &witness.cosign(&text, 1_767_322_990);
    let proof = inclusion(&all[..], 3, 5).unwrap();
    let sealed = Sealed {
        schema: &schema,
        schema_no: 5,
        values: &parse(&schema, each.1),
        number: each.3,
        transaction_id: each.4,
        time: each.5,
        protection: Protection::Salt(&[each.2; 16]),
        leaf_index: 3,
        inclusion: &proof,
        checkpoint: &note,
    };
    let extra = Some(hasher.record().to_vec());
    json!({
        "signer": key.secret_text(), "verifier": key.verifier().to_string(),
        "witness_signer": witness.secret_text(), "witness_verifier": witness.verifier().to_string(),
        "checkpoint": note,
        "tlog_proof": TlogProof { extra, index: 3, hashes: proof.clone(), checkpoint: note.clone() }.to_string(),
        "receipt": build(&sealed, None).unwrap().to_json(),
        "receipt_of_one_column": build(&sealed, Some(&["who"])).unwrap().to_json(),
    })
}

#[test]
fn the_golden_vectors() {
    let (rows, redactions) = rows();
    let vectors = json!({
        "format": "audit_guard ledger, version 1; described in docs/ledger-format.md",
        "values": values(), "rows": rows, "redactions": redactions, "entries": entries(),
        "headers": headers(), "trees": trees(), "documents": documents(),
    });
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/ledger-v1.json");
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    if std::env::var_os("LEDGER_VECTORS_WRITE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    // The texts of this file have no order of members that matters.
    let kept: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (name, part) in vectors.as_object().unwrap() {
        assert_eq!(&kept[name], part, "{name}");
    }
}
