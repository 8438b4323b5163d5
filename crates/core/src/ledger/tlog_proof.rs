//! Proofs as C2SP specifies them (<https://c2sp.org/tlog-proof>): a leaf's place, its proof of inclusion and
//! the checkpoint for which it holds, as one text.

use std::fmt;

use super::checkpoint::{Checkpoint, parse_decimal};
use super::hash::Hash;
use super::note::{NoteError, VerifierKey};
use super::proof::verify_inclusion;
use super::{Malformed, base64};

const TITLE: &str = "c2sp.org/tlog-proof@v1";
const EXTRA: &str = "extra ";
/// A tree has at most 2^64 leaves.
const MAX_HASHES: usize = 64;

/// A proof that a leaf is in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// What was sent along. Nothing vouches for it; here it is the record that the leaf is the hash of.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index.
    pub index: u64,
    /// The proof of inclusion.
    pub hashes: Vec<Hash>,
    /// The checkpoint, with its signatures.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads the text of a proof.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is none.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        const NO_PROOF: Malformed = Malformed("it is no tlog-proof of version 1");
        let (head, checkpoint) = text.split_once("\n\n").ok_or(NO_PROOF)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(TITLE) {
            return Err(NO_PROOF);
        }
        let mut line = lines.next();
        let extra = line.and_then(|line| line.strip_prefix(EXTRA));
        if extra.is_some() {
            line = lines.next();
        }
        let index = line.and_then(|line| line.strip_prefix("index ")).and_then(parse_decimal);
        let hashes: Option<Vec<Hash>> = lines.take(MAX_HASHES + 1).map(base64::decode_hash).collect();
        let hashes = hashes.filter(|hashes| hashes.len() <= MAX_HASHES);
        Ok(Self {
            extra: extra.map(|extra| base64::decode(extra).ok_or(NO_PROOF)).transpose()?,
            index: index.ok_or(Malformed("it has no index"))?,
            hashes: hashes.ok_or(Malformed("a line is no hash, or there are too many"))?,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// The checkpoint, when it is signed by one of the keys and has this leaf.
    ///
    /// # Errors
    ///
    /// [`NoteError`] of the checkpoint. `Ok(None)` when the leaf is not in it.
    pub fn verify(&self, leaf: &Hash, keys: &[VerifierKey]) -> Result<Option<Checkpoint>, NoteError> {
        let (checkpoint, _) = Checkpoint::open(&self.checkpoint, keys)?;
        let Checkpoint { size, root, .. } = &checkpoint;
        let is_in = verify_inclusion(leaf, self.index, *size, &self.hashes, root);
        Ok(is_in.then_some(checkpoint))
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "{EXTRA}{}", base64::encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
