//! Receipts: documents that prove, without this database, that a row was sealed as it is.

use super::locate::{self, Found};
use super::proofs::{checkpoint_over, inclusion, leaf_index};
use super::store;
use super::stream::redaction_of;
use crate::pg::errors;
use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::note::tidied;
use audit_guard_core::ledger::proof;
use audit_guard_core::ledger::receipt::{Protection, Sealed, Trust, build, verify};
use audit_guard_core::ledger::redaction::Redaction;
use audit_guard_core::ledger::value::Value;
use pgrx::JsonB;
use pgrx::prelude::*;

/// What a receipt takes from a row.
#[derive(Default)]
struct Taken {
    values: Vec<Value>,
    salt: [u8; 16],
    redaction: Option<Redaction>,
}

/// The receipt of a row, which discloses some columns, or all that are still there.
///
/// Errors: as `locate::named`; 55000 when the row is not sealed; 22023 for a column that the stream does not have, or
/// a row that is not as it was sealed.
#[pg_extern(sql = false, stable)]
fn receipt(stream: Option<&str>, id: Option<&str>, disclose: Option<Vec<Option<String>>>) -> JsonB {
    let (stream, number) = locate::named(stream, id);
    let mut taken = Taken::default();
    let found = locate::read(&stream, number, |found, maker, values| {
        taken.values = maker.values(&found.rows, values);
        taken.salt = maker.salt(values);
        taken.redaction = redaction_of(values).and_then(|blob| Redaction::parse(&blob).ok());
    });
    let index = leaf_index(&found);
    let (size, checkpoint) = checkpoint_over(index).unwrap_or_else(|| unsigned_head(&found));
    let names: Option<Vec<String>> = disclose.map(|names| names.into_iter().flatten().collect());
    let names: Option<Vec<&str>> = names.as_ref().map(|names| names.iter().map(String::as_str).collect());
    let (transaction_id, number) = found.row.position;
    let sealed = Sealed {
        schema: &found.rows.schema,
        schema_no: found.rows.prepared.schema_no,
        values: &taken.values,
        number,
        transaction_id,
        time: found.row.time,
        protection: taken.redaction.as_ref().map_or(Protection::Salt(&taken.salt), Protection::Redaction),
        leaf_index: index,
        inclusion: &inclusion(index, size),
        checkpoint: &checkpoint,
    };
    let document = build(&sealed, names.as_deref()).unwrap_or_else(|why| {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("there is no such receipt: {why}"),
            Some("SELECT field FROM audit.explain_row(...);"),
        )
    });
    match serde_json::to_value(&document) {
        Ok(document) => JsonB(document),
        Err(error) => errors::raise(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, &error.to_string(), None),
    }
}

/// The text of a checkpoint of the present tree, which nobody has signed.
fn unsigned_head(found: &Found) -> (u64, String) {
    let size = store::tree_size();
    let origin = found.place.as_ref().map(|place| place.seal.origin.clone()).unwrap_or_default();
    let Some(root) = proof::root(&super::tree::StoredTree, size) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
            "the stored tree is not complete",
            Some("SELECT * FROM audit.verify();"),
        )
    };
    (size, Checkpoint { origin, size, root, extensions: Vec::new() }.to_string())
}

/// What a receipt shows, held against a checkpoint that was kept elsewhere. Whose signatures count, only whoever
/// verifies outside can say: `audit-guard receipt verify`.
#[pg_extern(sql = false, immutable, parallel_safe)]
fn verify_receipt(
    receipt: Option<JsonB>,
    checkpoint: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(code, String),
        name!(stream, Option<String>),
        name!(id, Option<String>),
        name!(leaf_index, Option<i64>),
        name!(field, Option<String>),
        name!(detail, Option<String>),
        name!(rows_checked, Option<i64>),
    ),
> {
    let Some(JsonB(receipt)) = receipt else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "receipt must not be null",
            Some("SELECT * FROM audit.verify_receipt(audit.receipt('audit_log', 1));"),
        )
    };
    let checkpoint = checkpoint.map(tidied);
    let found = verify(&receipt.to_string(), &Trust { keys: &[], checkpoint: checkpoint.as_deref() });
    let leaf_index = found.leaf_index.and_then(|leaf| i64::try_from(leaf).ok());
    let code = found.code.as_str().to_owned();
    TableIterator::once((code, found.stream, found.id, leaf_index, None, Some(found.detail), Some(1)))
}
