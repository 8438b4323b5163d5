//! Roots that somebody vouches for: checkpoints from elsewhere, and those that the database keeps.

use std::path::PathBuf;

use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::note::tidied;

use crate::database::Database;
use crate::facts::Facts;
use crate::failure::{Failure, Result};
use crate::files;
use crate::keys;
use crate::report::{Finding, grouped};

const NOTE_LIMIT: u64 = 1 << 20;

/// A root of the tree at some size.
pub(super) struct Claim {
    pub(super) origin: String,
    pub(super) size: u64,
    pub(super) root: Hash,
    /// Who signed it, if a key that counts did.
    pub(super) signer: Option<String>,
    /// Where it comes from, for messages.
    pub(super) source: String,
}

/// The checkpoints that were given, each signed by one of the keys, or else without a signer.
pub(super) fn read(paths: &[PathBuf], keys: &[String], facts: &Facts) -> Result<Vec<Claim>> {
    for key in keys {
        keys::check_verifier_key(key)?;
    }
    let keys = if keys.is_empty() { &facts.keys } else { keys };
    let claims = paths.iter().map(|path| {
        let note = tidied(&files::read(path, NOTE_LIMIT)?);
        let source = path.display().to_string();
        let claim = of_note(&note, keys, &source);
        claim.ok_or_else(|| Failure::usage(format!("{source}: this is no checkpoint")))
    });
    claims.collect()
}

/// The claim of a note; None when it is none at all.
pub(super) fn of_note(note: &str, keys: &[String], source: &str) -> Option<Claim> {
    let source = source.to_owned();
    if let Some(signed) = keys::open(note, keys) {
        let (origin, size, root) = (signed.origin, signed.size, signed.root);
        return Some(Claim { origin, size, root, signer: Some(signed.key_name), source });
    }
    let unsigned = keys::unsigned(note)?;
    Some(Claim { origin: unsigned.origin, size: unsigned.size, root: unsigned.root, signer: None, source })
}

/// The checkpoints that the database keeps for sizes above one and up to another.
pub(super) fn stored(database: &mut Database, above: u64, up_to: u64) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    let query = format!(
        "SELECT size, root, origin, note, key_name, id FROM audit.checkpoints \
         WHERE size > {above} AND size <= {up_to} ORDER BY size"
    );
    database.rows(&query, |row| {
        let text = |place| String::from_utf8_lossy(row.field(place).unwrap_or_default()).into_owned();
        claims.push(Claim {
            origin: text(2),
            size: row.bigint(0).and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            root: row.field(1).and_then(|root| root.try_into().ok()).unwrap_or_default(),
            // The note itself; who signed it is found out from it.
            signer: Some(text(3)),
            source: format!("the stored checkpoint {}", row.bigint(5).unwrap_or(0)),
        });
        Ok(())
    })?;
    Ok(claims)
}

/// Whether a checkpoint that the database keeps is signed, says what the database says it does, and agrees
/// with the tree.
pub(super) fn judge_stored(claim: &Claim, root: Option<&Hash>, facts: &Facts) -> Option<Finding> {
    let keys: Vec<String> = facts.keys.iter().chain(&facts.withdrawn_keys).cloned().collect();
    let note = claim.signer.as_deref().unwrap_or_default();
    let signed = keys::open(note, &keys);
    let Some(signed) = signed else {
        return Some(Finding::new(
            "bad_signature",
            format!("{} is signed by none of the known keys", claim.source),
        ));
    };
    let is_same = (&signed.origin, signed.size, signed.root) == (&claim.origin, claim.size, claim.root);
    if !is_same {
        return Some(Finding::new(
            "bad_signature",
            format!("{} says something else than its note", claim.source),
        ));
    }
    (root != Some(&claim.root)).then(|| {
        let detail =
            format!("{} has another root than the first {} leaves", claim.source, grouped(claim.size));
        Finding::new("fork", detail)
    })
}
