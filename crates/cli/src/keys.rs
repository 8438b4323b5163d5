//! Keys of witnesses, and what they sign.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::note::{Algorithm, SignerKey, VerifierKey, sign};
use audit_guard_core::ledger::proof::verify_consistency;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::database::literal;
use crate::failure::{Exit, Failure, Result};
use crate::files;

const KEY_LIMIT: u64 = 4096;

/// A checkpoint that somebody signed.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) key_name: String,
    /// The whole note.
    pub(crate) note: String,
}

/// A private key.
pub(crate) struct Key(SignerKey);

impl Key {
    pub(crate) fn name(&self) -> &str {
        self.0.verifier().name()
    }

    /// The public key as text.
    pub(crate) fn verifier_key(&self) -> String {
        self.0.verifier().to_string()
    }

    /// Signs a head.
    pub(crate) fn sign(&self, origin: &str, size: u64, root: &Hash) -> Result<Signed> {
        let checkpoint = Checkpoint { origin: origin.to_owned(), size, root: *root, extensions: Vec::new() };
        let text = checkpoint.to_string();
        // What could not be read again, such as an origin of two lines, is not signed.
        if Checkpoint::parse(&text).ok().as_ref() != Some(&checkpoint) {
            return Err(Failure::unchecked("the origin of the ledger cannot stand in a checkpoint"));
        }
        let note = sign(&text, &[&self.0]);
        Ok(Signed { origin: checkpoint.origin, size, root: *root, key_name: self.name().to_owned(), note })
    }
}

/// The command `keygen`.
pub(crate) fn generate(name: &str, path: &Path) -> Result<Exit> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Failure::usage(format!("no random numbers: {error}")))?;
    let key = SignerKey::new(name, Algorithm::Ed25519, &secret).map_err(|defect| Failure::usage(defect.0))?;
    files::create_secret(path, format!("{}\n", key.secret_text()).as_bytes())?;
    let verifier = key.verifier().to_string();
    println!("private key: {}  (keep it away from the database's machine)", path.display());
    println!("public key:  {verifier}\n");
    println!("In the database, as a member of audit_admin:");
    println!("  SELECT audit.trust_key({}, 'why');", literal(&verifier));
    println!("Then, on this machine:");
    println!("  audit-guard witness --dsn ... --key {} --state DIR", path.display());
    Ok(Exit::Intact)
}

/// Reads a private key. One that others may read is none any more.
pub(crate) fn read(path: &Path) -> Result<Key> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::file(path, &error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Failure::usage(format!("{}: others may read this key: chmod 0600", path.display())));
    }
    let text = files::read(path, KEY_LIMIT)?;
    let key = SignerKey::parse(text.trim_end());
    key.map(Key).map_err(|defect| Failure::usage(format!("{}: {defect}", path.display())))
}

/// Refuses a text that is no public key.
pub(crate) fn check_verifier_key(text: &str) -> Result<()> {
    let key = VerifierKey::parse(text);
    key.map(drop).map_err(|defect| Failure::usage(format!("--key {text}: {defect}")))
}

/// Reads a checkpoint that one of the keys signed; None when none of them did. Keys that cannot be read sign
/// nothing.
pub(crate) fn open(note: &str, keys: &[String]) -> Option<Signed> {
    let keys = parsed(keys);
    let (checkpoint, signed_by) = Checkpoint::open(note, &keys).ok()?;
    let key_name = signed_by.first()?.key.name().to_owned();
    let Checkpoint { origin, size, root, .. } = checkpoint;
    Some(Signed { origin, size, root, key_name, note: note.to_owned() })
}

/// The keys that can be read.
pub(crate) fn parsed(keys: &[String]) -> Vec<VerifierKey> {
    keys.iter().filter_map(|key| VerifierKey::parse(key).ok()).collect()
}

/// What a checkpoint says, whoever signed it.
pub(crate) fn unsigned(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse_any(note).ok()
}

/// Whether a proof, one hash in base64 per line, shows that a signed tree is the beginning of another.
pub(crate) fn is_consistent(proof: &str, first: &Signed, size: u64, root: &Hash) -> bool {
    let hashes: Option<Vec<Hash>> = proof.lines().map(hash_from_text).collect();
    hashes.is_some_and(|proof| verify_consistency(first.size, size, &proof, &first.root, root))
}

/// A hash in base64 or in hexadecimal.
pub(crate) fn hash_from_text(text: &str) -> Option<Hash> {
    if text.len() == 64 {
        let digits: Option<Vec<u8>> =
            text.bytes().map(|byte| char::from(byte).to_digit(16).map(|d| d as u8)).collect();
        let digits = digits?;
        let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
        return bytes.try_into().ok();
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        match SignerKey::new("witness.example/db1", Algorithm::Ed25519, &[7; 32]) {
            Ok(key) => Key(key),
            Err(defect) => unreachable!("{defect}"),
        }
    }

    #[test]
    fn what_is_signed_can_be_opened_with_the_key_only() -> Result<()> {
        let key = key();
        let signed = key.sign("audit_guard/1/2", 3, &[9; 32])?;
        let opened = open(&signed.note, &["no key".to_owned(), key.verifier_key()]);
        assert_eq!(
            opened.map(|opened| (opened.origin, opened.size, opened.root)),
            Some(("audit_guard/1/2".into(), 3, [9; 32]))
        );
        assert!(open(&signed.note, &[]).is_none());
        assert!(open(&signed.note.replace("\n3\n", "\n4\n"), &[key.verifier_key()]).is_none());
        assert!(unsigned(&signed.note).is_some());
        assert!(key.sign("two\nlines", 3, &[9; 32]).is_err());
        assert!(key.sign("", 3, &[9; 32]).is_err());
        Ok(())
    }

    #[test]
    fn hashes_as_text() {
        let hash = [0xab; 32];
        assert_eq!(hash_from_text(&"ab".repeat(32)), Some(hash));
        assert_eq!(hash_from_text(&STANDARD.encode(hash)), Some(hash));
        for wrong in ["", "ab", &"xy".repeat(32), &STANDARD.encode([1; 31])] {
            assert_eq!(hash_from_text(wrong), None, "{wrong}");
        }
    }
}
