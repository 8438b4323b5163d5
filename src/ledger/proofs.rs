//! Proofs that do not need this database to be believed: that a leaf is in a tree, that one tree is the beginning of
//! another, that somebody signed a tree.

use super::locate::{self, Found};
use super::store;
use super::tree::StoredTree;
use crate::pg::errors;
use crate::pg::query::select;
use audit_guard_core::ledger::base64;
use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::note::{NoteError, VerifierKey, tidied};
use audit_guard_core::ledger::proof;
use audit_guard_core::ledger::tlog_proof::TlogProof;
use pgrx::prelude::*;

/// The root of the tree of the first leaves; null when there are not as many.
#[pg_extern(sql = false, stable, parallel_safe)]
fn tree_root(size: i64) -> Option<Vec<u8>> {
    let size = u64::try_from(size).ok().filter(|size| *size <= store::tree_size())?;
    proof::root(&StoredTree, size).map(|root| root.to_vec())
}

/// The proof that the tree of one size is the beginning of the tree of another: one hash in base64 per line.
///
/// Errors: 22004 for null, 22023 when there are no such trees.
#[pg_extern(sql = false, stable, parallel_safe)]
fn consistency(from_size: Option<i64>, to_size: Option<i64>) -> String {
    let (Some(from), Some(to)) = (from_size, to_size) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "from_size and to_size must not be null",
            Some("SELECT audit.consistency(1, (SELECT size FROM audit.tree_head()));"),
        )
    };
    let size = store::tree_size();
    let sizes = u64::try_from(from).ok().zip(u64::try_from(to).ok());
    let sizes = sizes.filter(|(from, to)| from <= to && *to <= size);
    let Some(hashes) = sizes.and_then(|(from, to)| proof::consistency(&StoredTree, from, to)) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("there is no proof from size {from} to size {to}: the tree has {size} leaves"),
            Some("SELECT size FROM audit.tree_head();"),
        )
    };
    hashes.iter().map(|hash| base64::encode(hash) + "\n").collect()
}

/// The hashes that lead from a leaf to the root of the tree of one size; null when there is no such leaf or tree.
#[pg_extern(sql = false, stable, parallel_safe)]
fn inclusion_path(leaf_index: i64, size: i64) -> Option<Vec<Vec<u8>>> {
    let size = u64::try_from(size).ok().filter(|size| *size <= store::tree_size())?;
    let leaf = u64::try_from(leaf_index).ok().filter(|leaf| *leaf < size)?;
    proof::inclusion(&StoredTree, leaf, size).map(|path| path.iter().map(|hash| hash.to_vec()).collect())
}

/// What a note says, and which of the keys signed it; `keys` are verifier keys.
///
/// Errors: 22023 for what is no checkpoint, or a key that is none.
#[pg_extern(sql = false, immutable, parallel_safe)]
fn open_note(
    note: &str,
    keys: Vec<String>,
) -> TableIterator<
    'static,
    (
        name!(origin, String),
        name!(size, i64),
        name!(root, Vec<u8>),
        name!(key_name, Option<String>),
        name!(is_signed, bool),
    ),
> {
    let refuse = |what: &str| -> ! {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            what,
            Some(
                "A checkpoint is the text that audit.checkpoint() gives, or the file that audit-guard witness wrote.",
            ),
        )
    };
    let parsed: Vec<VerifierKey> = keys
        .iter()
        .map(|key| {
            VerifierKey::parse(key).unwrap_or_else(|why| refuse(&format!("this is no verifier key: {why}")))
        })
        .collect();
    let note = &tidied(note);
    let checkpoint =
        Checkpoint::parse_any(note).unwrap_or_else(|why| refuse(&format!("this is no checkpoint: {why}")));
    let signed = Checkpoint::open(note, &parsed);
    let key_name = match &signed {
        Ok((_, by)) => by.first().map(|by| by.key.name().to_owned()),
        Err(NoteError::BadSignature(_) | NoteError::Unsigned | NoteError::Malformed(_)) => None,
    };
    let is_signed = key_name.is_some();
    let size = i64::try_from(checkpoint.size).unwrap_or(i64::MAX);
    TableIterator::once((checkpoint.origin, size, checkpoint.root.to_vec(), key_name, is_signed))
}

/// The proof that a row is in the newest signed tree that has it, in the form of C2SP's tlog-proof.
///
/// Errors: as `locate::named`; 55000 when the row is not sealed, or no signed checkpoint covers it.
#[pg_extern(sql = false, stable)]
fn proof(stream: Option<&str>, id: Option<&str>) -> String {
    let (stream, number) = locate::named(stream, id);
    let mut record = Vec::new();
    let found = locate::read(&stream, number, |found, maker, values| {
        maker.leaf(&found.rows, found.row, values);
        record = maker.record().to_vec();
    });
    let index = leaf_index(&found);
    let Some((size, note)) = checkpoint_over(index) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            &format!("no signed checkpoint covers leaf {index}"),
            Some("audit-guard witness --once, or: SELECT audit.receipt(...), which can do without."),
        )
    };
    let hashes = inclusion(index, size);
    TlogProof { extra: Some(record), index, hashes, checkpoint: note }.to_string()
}

/// The index of a row's leaf.
///
/// Errors: 55000 when the row is not sealed yet.
pub(super) fn leaf_index(found: &Found) -> u64 {
    match &found.place {
        Some(place) => place.leaf_index(),
        None => errors::raise(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the row is not sealed yet",
            Some("SELECT audit.seal();"),
        ),
    }
}

/// The hashes from a leaf to a root.
///
/// Errors: XX001 when the stored tree lacks some.
pub(super) fn inclusion(index: u64, size: u64) -> Vec<Hash> {
    proof::inclusion(&StoredTree, index, size).unwrap_or_else(|| {
        errors::raise(
            PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
            "the stored tree is not complete",
            Some("SELECT * FROM audit.verify();"),
        )
    })
}

/// The newest checkpoint that a trusted key signed, if its tree has this leaf: its size, and the note.
pub(super) fn checkpoint_over(index: u64) -> Option<(u64, String)> {
    let note: Option<String> = select("SELECT audit.checkpoint()", &[], |row| row.copy(0)).pop().flatten();
    let note = note?;
    let size = Checkpoint::parse_any(&note).ok()?.size;
    (size > index).then_some((size, note))
}
