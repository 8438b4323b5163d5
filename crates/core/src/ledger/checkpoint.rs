//! Checkpoints as C2SP specifies them (<https://c2sp.org/tlog-checkpoint>): the size and root of a tree, as
//! the text of a note.

use std::fmt;

use super::base64;
use super::hash::Hash;
use super::note::{Note, NoteError, SignedBy, VerifierKey};

/// A tree at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose tree it is.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// Lines that others may have added. Those of this project have none.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// Reads the text of a checkpoint, without blank line and signatures.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        Self::read(text).ok_or(NoteError::Malformed("its text is no checkpoint"))
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty())?.to_owned();
        let size = lines.next()?;
        let checkpoint = Self {
            origin,
            size: parse_decimal(size)?,
            root: base64::decode_hash(lines.next()?)?,
            extensions: lines.map(str::to_owned).collect(),
        };
        let is_whole = checkpoint.extensions.iter().all(|line| !line.is_empty());
        let has_control = text.bytes().any(|byte| byte < b' ' && byte != b'\n');
        (is_whole && !has_control).then_some(checkpoint)
    }

    /// Reads a checkpoint that `keys` signed.
    ///
    /// # Errors
    ///
    /// [`NoteError`] when it is no checkpoint, or is not signed by any of the keys, or a signature is wrong.
    pub fn open<'k>(note: &str, keys: &'k [VerifierKey]) -> Result<(Self, Vec<SignedBy<'k>>), NoteError> {
        let note = Note::parse(note)?;
        let checkpoint = Self::parse(note.text)?;
        Ok((checkpoint, note.verify(keys)?))
    }

    /// Reads a checkpoint, signed or not, without looking at signatures.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`].
    pub fn parse_any(text: &str) -> Result<Self, NoteError> {
        if text.contains("\n\n") { Self::parse(Note::parse(text)?.text) } else { Self::parse(text) }
    }
}

impl fmt::Display for Checkpoint {
    /// The text to sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, base64::encode(self.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A decimal number without sign and leading zeros.
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    let is_printed =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_printed.then_some(number)
}
