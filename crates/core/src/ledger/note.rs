//! Signed notes as C2SP specifies them (<https://c2sp.org/signed-note>), with Ed25519 and with the
//! cosignatures of witnesses (<https://c2sp.org/tlog-cosignature>).

mod key;

use std::fmt;

pub use key::{Algorithm, SignerKey, VerifierKey};

use super::base64;

/// The longest note that is read, in bytes.
pub const MAX_NOTE_BYTES: usize = 1_000_000;
/// The most signatures that are read.
pub const MAX_SIGNATURES: usize = 100;

const MARK: &str = "\u{2014} ";

/// A note, read but not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed; ends with a newline.
    pub text: &'a str,
    /// Who says to have signed it.
    pub signatures: Vec<Signature<'a>>,
}

/// A line below a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The name of the key.
    pub name: &'a str,
    /// The number of the key.
    pub id: u32,
    /// What the key made.
    pub bytes: Vec<u8>,
}

/// A key that signed a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedBy<'a> {
    /// The key.
    pub key: &'a VerifierKey,
    /// When, in seconds since 1970, if the key is a witness's.
    pub timestamp: Option<u64>,
}

/// Why nothing can be said for a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteError {
    /// It is no note, and why.
    Malformed(&'static str),
    /// The signature of a known key, of this name, is wrong.
    BadSignature(String),
    /// No known key signed it.
    Unsigned,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "it is no signed note: {why}"),
            Self::BadSignature(name) => write!(f, "the signature by {name} is wrong"),
            Self::Unsigned => f.write_str("none of the trusted keys signed it"),
        }
    }
}

impl std::error::Error for NoteError {}

impl<'a> Note<'a> {
    /// Reads a note. Nothing of it can be relied on before [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`].
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        const MALFORMED: NoteError = NoteError::Malformed("a line below the text is no signature");
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Malformed("it is too long"));
        }
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Malformed("it has control characters"));
        }
        let blank = note.rfind("\n\n").ok_or(NoteError::Malformed("it has no signatures"))?;
        // Both are ASCII characters: the text keeps its newline, the blank line belongs to none.
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(MALFORMED)?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::Malformed("it has too many signatures"));
            }
            signatures.push(Signature::parse(line).ok_or(MALFORMED)?);
        }
        Ok(Self { text, signatures })
    }

    /// Which of the keys signed it, at least one. Signatures of other keys count neither way.
    ///
    /// # Errors
    ///
    /// [`NoteError::BadSignature`] when one of the keys did not make the signature that bears its name;
    /// [`NoteError::Unsigned`] when there is none of them.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<SignedBy<'k>>, NoteError> {
        let mut signed_by: Vec<SignedBy<'k>> = Vec::new();
        for signature in &self.signatures {
            let mut known = keys.iter().filter(|key| key.is_of(signature)).peekable();
            if known.peek().is_none() {
                continue;
            }
            let found = known.find_map(|key| {
                key.verify(self.text, &signature.bytes).map(|timestamp| SignedBy { key, timestamp })
            });
            let found = found.ok_or_else(|| NoteError::BadSignature(signature.name.to_owned()))?;
            if signed_by.iter().all(|other| other.key != found.key) {
                signed_by.push(found);
            }
        }
        if signed_by.is_empty() { Err(NoteError::Unsigned) } else { Ok(signed_by) }
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(MARK)?.split_once(' ')?;
        let bytes = base64::decode(encoded)?;
        let (id, signature) = bytes.split_first_chunk()?;
        let is_signature = is_key_name(name) && !signature.is_empty();
        is_signature.then(|| Self { name, id: u32::from_be_bytes(*id), bytes: signature.to_vec() })
    }
}

impl fmt::Display for Signature<'_> {
    /// The line, with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.to_be_bytes()[..], &self.bytes].concat();
        writeln!(f, "{MARK}{} {}", self.name, base64::encode(bytes))
    }
}

/// The note of a text that ends with a newline, with the signature of each signer.
#[must_use]
pub fn sign(text: &str, signers: &[&SignerKey]) -> String {
    let mut note = format!("{text}\n");
    for signer in signers {
        note.push_str(&signer.sign(text));
    }
    note
}

/// A note as people hand it on, with the one newline at its end that copying through a shell or psql loses or
/// doubles. No signature covers that.
#[must_use]
pub fn tidied(note: &str) -> String {
    format!("{}\n", note.trim_end_matches('\n'))
}

/// Whether a key can have this name.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && c != '+' && !c.is_control();
    !name.is_empty() && name.chars().all(is_plain)
}
