//! Receipts: what they show, and what gives them away.

use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::note::{Algorithm, VerifierKey, sign};
use audit_guard_core::ledger::proof::inclusion;
use audit_guard_core::ledger::receipt::{Protection, Receipt, ReceiptError, Sealed, Trust, build, verify};
use audit_guard_core::ledger::redaction::{Redaction, Target};
use audit_guard_core::ledger::row::RowHasher;
use audit_guard_core::ledger::schema::Schema;
use audit_guard_core::ledger::value::Value;
use audit_guard_core::ledger::verdict::{Code, Outcome, Verdict};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::notes::signer;
use super::reference::root;
use super::rows::{columns, schema_of};
use super::tree::leaves;

const INDEX: usize = 3;
const SALT: [u8; 16] = [5; 16];

struct Log {
    schema: Schema,
    values: Vec<Value>,
    leaves: Vec<Hash>,
    checkpoint: String,
    key: VerifierKey,
}

fn row<'a>(log: &'a Log, protection: Protection<'a>, inclusion: &'a [Hash]) -> Sealed<'a> {
    Sealed {
        schema: &log.schema,
        schema_no: 5,
        values: &log.values,
        number: 4711,
        transaction_id: 815,
        time: 99,
        protection,
        leaf_index: INDEX as u64,
        inclusion,
        checkpoint: &log.checkpoint,
    }
}

impl Log {
    fn new(schema: Schema, values: Vec<Value>) -> Self {
        let mut hasher = RowHasher::new();
        hasher.begin();
        hasher.values(&schema, &values).unwrap();
        let leaf = hasher.finish(&schema.prepare(5), &SALT, 4711, 815, 99);
        let mut leaves = leaves(11);
        leaves[INDEX] = leaf;
        let key = signer("log.example", Algorithm::Ed25519);
        let log = Self { schema, values, leaves, checkpoint: String::new(), key: key.verifier().clone() };
        Self { checkpoint: sign(&log.text(), &[&key]), ..log }
    }

    fn text(&self) -> String {
        let root = root(&self.leaves);
        let size = self.leaves.len() as u64;
        Checkpoint { origin: "log.example".to_owned(), size, root, extensions: vec![] }.to_string()
    }

    fn small() -> Self {
        let definition = "audit_guard schema 1\nstream 1 audit_log\nnumber id\ntime changed_at\n\
            field 2 text plain table_name\nfield 3 int plain operation\nfield 7 jsonb erasable old_record\n\
            field 8 text erasable user_agent\nfield 9 inet erasable client_ip\n";
        let values = vec![
            Value::Text("orders".to_owned()),
            Value::Null,
            Value::Jsonb(r#"{"id": 7, "iban": "DE02"}"#.to_owned()),
            Value::Text("curl".to_owned()),
            Value::Null,
        ];
        Self::new(Schema::parse(definition).unwrap(), values)
    }

    fn receipt(&self, disclose: Option<&[&str]>) -> Receipt {
        let proof = inclusion(&self.leaves[..], INDEX as u64, self.leaves.len() as u64).unwrap();
        build(&row(self, Protection::Salt(&SALT), &proof), disclose).unwrap()
    }

    fn verify(&self, json: &str) -> Verdict {
        verify(json, &Trust { keys: std::slice::from_ref(&self.key), checkpoint: None })
    }
}

#[test]
fn everything_disclosed() {
    let log = Log::small();
    let receipt = log.receipt(None);
    let json: Json = serde_json::from_str(&receipt.to_json()).unwrap();
    assert_eq!(json["audit_guard_receipt"], 1);
    assert_eq!(
        (&json["id"], &json["leaf_index"], &json["stream"]),
        (&json!("4711"), &json!("3"), &json!("audit_log"))
    );
    assert_eq!(json["fields"][0]["values"], json!({"table_name": "orders", "operation": null}));
    assert_eq!(json["fields"][2]["key"], "iban");
    assert_eq!(json["fields"][2]["value"], "\"DE02\"");
    assert_eq!(json["fields"][3]["value"], "curl");
    assert_eq!(json["fields"].as_array().unwrap().len(), 4);
    let verdict = log.verify(&receipt.to_json());
    assert_eq!(verdict.code, Code::Ok, "{}", verdict.detail);
    assert_eq!(verdict.stream.as_deref(), Some("audit_log"));
    assert_eq!((verdict.id.as_deref(), verdict.leaf_index), (Some("4711"), Some(3)));
    assert_eq!(Receipt::parse(&receipt.to_json()), Ok(receipt));
}

#[test]
fn some_columns_disclosed() {
    let log = Log::small();
    for (disclose, shown) in [
        (&[][..], [false, false, false, false]),
        (&["id", "changed_at"][..], [false, false, false, false]),
        (&["operation"][..], [true, false, false, false]),
        (&["old_record"][..], [false, true, true, false]),
        (&["user_agent", "client_ip"][..], [false, false, false, true]),
    ] {
        let receipt = log.receipt(Some(disclose));
        let found: Vec<bool> = receipt.fields.iter().map(|field| field.salt.is_some()).collect();
        assert_eq!(found, shown, "{disclose:?}");
        assert_eq!(log.verify(&receipt.to_json()).code, Code::Ok);
        let json = receipt.to_json();
        assert_eq!(json.contains("DE02"), shown[1]);
        assert_eq!(json.contains("curl"), shown[3]);
        assert_eq!(json.contains("iban"), shown[1]);
    }
    let row = row(&log, Protection::Salt(&SALT), &[]);
    assert_eq!(build(&row, Some(&["no"])), Err(ReceiptError::UnknownColumn("no".to_owned())));
    assert_eq!(build(&Sealed { values: &[], ..row }, None), Err(ReceiptError::WrongValues));
}

#[test]
fn a_redacted_row() {
    let mut log = Log::small();
    let mut hasher = RowHasher::new();
    hasher.begin();
    hasher.values(&log.schema, &log.values).unwrap();
    hasher.finish(&log.schema.prepare(5), &SALT, 4711, 815, 99);
    let targets = [Target { field: 7, key: Some(b"iban") }, Target { field: 8, key: None }];
    let (redaction, _) = Redaction::erase(&hasher, &targets).unwrap();
    log.values[2] = Value::Jsonb(r#"{"id": 7, "iban": null}"#.to_owned());
    log.values[3] = Value::Null;
    let proof = inclusion(&log.leaves[..], INDEX as u64, log.leaves.len() as u64).unwrap();
    let receipt = build(&row(&log, Protection::Redaction(&redaction), &proof), None).unwrap();
    let shown: Vec<bool> = receipt.fields.iter().map(|field| field.salt.is_some()).collect();
    assert_eq!(shown, [true, true, false, false]);
    assert_eq!(log.verify(&receipt.to_json()).code, Code::Ok);
    log.values[3] = Value::Text("wget".to_owned());
    let misfit = build(&row(&log, Protection::Redaction(&redaction), &proof), None).unwrap_err();
    assert_eq!(misfit.to_string(), "field 8 of the row is not what its redaction says");
}

#[test]
fn every_change_is_found() {
    let log = Log::small();
    let good: Json = serde_json::from_str(&log.receipt(None).to_json()).unwrap();
    let other_hash = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    for (path, value, code) in [
        ("/fields/0/values/table_name", json!("order"), Code::Modified),
        ("/fields/0/values/operation", json!("0"), Code::Modified),
        ("/fields/0/values", json!({"table_name": "orders"}), Code::Modified),
        ("/fields/0/values", json!({"table_name": "orders", "operation": null, "x": null}), Code::Modified),
        ("/fields/0/form", json!(1), Code::Modified),
        ("/fields/0/column", json!("table_name"), Code::Modified),
        ("/fields/1/value", json!("8"), Code::Modified),
        ("/fields/2/key", json!("bic"), Code::Modified),
        ("/fields/2/form", json!(1), Code::Modified),
        ("/fields/3/column", json!("client_ip"), Code::Modified),
        ("/fields/3/field", json!(9), Code::Modified),
        ("/fields/3/field", json!(2), Code::Modified),
        ("/fields/3/key", json!("x"), Code::Modified),
        ("/fields/3/value", json!(null), Code::Modified),
        ("/fields/3/salt", json!("AAAAAAAAAAAAAAAAAAAAAA=="), Code::Modified),
        ("/fields/3/salt", json!("AAAA"), Code::Modified),
        ("/fields/3/commitment", other_hash.clone(), Code::Modified),
        ("/fields/3/values", json!({}), Code::Modified),
        ("/fields", json!([]), Code::Modified),
        ("/id", json!("4712"), Code::Modified),
        ("/stream", json!("holds"), Code::Modified),
        ("/schema", json!(log.schema.definition().replace("operation", "op")), Code::Modified),
        ("/schema", json!(""), Code::UnknownSchema),
        ("/record", json!("AAAA"), Code::Modified),
        ("/leaf_index", json!("4"), Code::TreeMismatch),
        ("/leaf_index", json!("99"), Code::TreeMismatch),
        ("/leaf_index", json!("03"), Code::Modified),
        ("/inclusion/0", other_hash, Code::TreeMismatch),
        ("/inclusion/0", json!("AAAA"), Code::TreeMismatch),
        ("/inclusion", json!([]), Code::TreeMismatch),
        ("/checkpoint", json!(""), Code::BadSignature),
        (
            "/checkpoint",
            json!(log.checkpoint.replace("log.example\n11", "log.sample\n11")),
            Code::BadSignature,
        ),
        ("/checkpoint", json!(log.text()), Code::InternallyConsistent),
        ("/audit_guard_receipt", json!(2), Code::Modified),
    ] {
        let mut changed = good.clone();
        let (parent, member) = path.rsplit_once('/').unwrap();
        match changed.pointer_mut(parent).unwrap() {
            Json::Object(object) => {
                object.insert(member.to_owned(), value.clone());
            }
            array => array[member.parse::<usize>().unwrap()] = value.clone(),
        }
        let verdict = log.verify(&changed.to_string());
        assert_eq!(verdict.code, code, "{path} {value}: {}", verdict.detail);
    }
    let mut swapped = good.clone();
    swapped["fields"].as_array_mut().unwrap().swap(1, 3);
    assert_eq!(log.verify(&swapped.to_string()).code, Code::Modified);
    for text in ["", "{}", "[]", "null"] {
        assert_eq!(log.verify(text).code, Code::Modified);
    }
}

#[test]
fn against_a_checkpoint_from_outside() {
    let log = Log::small();
    let key = signer("log.example", Algorithm::Ed25519);
    let mut unsigned = log.receipt(None);
    unsigned.checkpoint = log.text();
    let keys = std::slice::from_ref(&log.key);
    let with = |checkpoint: &str, keys| unsigned.verify(&Trust { keys, checkpoint: Some(checkpoint) }).code;
    assert_eq!(with(&log.checkpoint, keys), Code::Ok);
    assert_eq!(with(&log.checkpoint, &[]), Code::InternallyConsistent);
    assert_eq!(with(&log.text(), keys), Code::InternallyConsistent);
    let wrong_root = log.text().replace(&log.text().lines().nth(2).unwrap()[..6], "AAAAAA");
    assert_eq!(with(&sign(&wrong_root, &[&key]), keys), Code::Fork);
    assert_eq!(with(&wrong_root, keys), Code::Fork);
    let larger = log.text().replace("\n11\n", "\n12\n");
    assert_eq!(with(&sign(&larger, &[&key]), keys), Code::Stale);
    assert_eq!(with("rubbish", keys), Code::BadSignature);
    let forged = log.checkpoint.replace("\n11\n", "\n12\n");
    assert_eq!(with(&forged, keys), Code::BadSignature);
    assert_eq!(unsigned.verify(&Trust::default()).code, Code::InternallyConsistent);
    // A fork counts even when the receipt's own checkpoint is signed.
    let both = Trust { keys, checkpoint: Some(&sign(&wrong_root, &[&key])) };
    assert_eq!(log.receipt(None).verify(&both).code, Code::Fork);
}

#[test]
fn codes_have_names() {
    assert_eq!(Code::all().count(), 16);
    for code in Code::all() {
        assert_eq!(Code::parse(code.as_str()), Some(code));
        assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
    }
    assert_eq!(Code::parse("OK"), None);
    assert_eq!(Code::Ok.outcome(), Outcome::Intact);
    assert_eq!(Code::Stale.outcome(), Outcome::Open);
    assert_eq!(Code::Modified.outcome(), Outcome::Tampered);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn receipts_of_any_row(
        columns in columns(),
        picks in prop::option::of(prop::collection::vec(any::<prop::sample::Index>(), 0..4)),
    ) {
        let kinds: Vec<_> = columns.iter().map(|(kind, erasable, _)| (*kind, *erasable)).collect();
        let values: Vec<_> = columns.into_iter().map(|(_, _, value)| value).collect();
        let log = Log::new(schema_of(&kinds), values);
        let names: Vec<&str> = log.schema.fields.iter().map(|field| &*field.name).collect();
        let picked: Option<Vec<&str>> = picks.map(|picks| {
            picks.iter().filter(|_| !names.is_empty()).map(|pick| *pick.get(&names)).collect()
        });
        let receipt = log.receipt(picked.as_deref()).to_json();
        let verdict = log.verify(&receipt);
        prop_assert_eq!(verdict.code, Code::Ok, "{} {}", verdict.detail, receipt);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*", at: prop::sample::Index, byte in 0x20_u8..0x7f) {
        let log = Log::small();
        log.verify(&text);
        let mut bytes = log.receipt(None).to_json().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        log.verify(&String::from_utf8_lossy(&bytes));
    }
}
