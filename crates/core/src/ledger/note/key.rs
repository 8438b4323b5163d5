//! Keys that sign notes, and keys that verify them.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::{Signature, is_key_name};
use crate::ledger::hash::sha256;
use crate::ledger::{Malformed, base64};

const PRIVATE: &str = "PRIVATE+KEY+";

/// How a key signs. The number stands in front of the key's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Algorithm {
    /// Ed25519 over the text.
    Ed25519 = 0x01,
    /// Ed25519 of a witness: over a time and the text of a checkpoint.
    Cosignature = 0x04,
}

impl Algorithm {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

/// What verifies the signatures of one key. As text: `name+number+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Reads the text of a key.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is none, or of a kind that is not known here.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (name, id, bytes) = parse_parts(text).ok_or(Malformed("a verifier key is name+number+base64"))?;
        let (algorithm, bytes) = split_algorithm(&bytes)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| Malformed("it is no Ed25519 key"))?;
        if key.is_weak() {
            return Err(Malformed("with this key everything counts as signed"));
        }
        let key = Self { name: name.to_owned(), algorithm, key };
        if key.id() == id { Ok(key) } else { Err(Malformed("the number of the key is not the key's")) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number, from name and key.
    #[must_use]
    pub fn id(&self) -> u32 {
        let hash = sha256(&[self.name.as_bytes(), &[b'\n', self.algorithm as u8], self.key.as_bytes()]);
        let [a, b, c, d, ..] = hash;
        u32::from_be_bytes([a, b, c, d])
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn is_of(&self, signature: &Signature<'_>) -> bool {
        self.name == signature.name && self.id() == signature.id
    }

    /// When the signature is right, the time in it.
    #[expect(clippy::option_option, reason = "a signature that is right may have no time")]
    pub(super) fn verify(&self, text: &str, bytes: &[u8]) -> Option<Option<u64>> {
        match self.algorithm {
            Algorithm::Ed25519 => self.verify_message(text, bytes).then_some(None),
            Algorithm::Cosignature => {
                let (timestamp, bytes) = bytes.split_first_chunk()?;
                let timestamp = u64::from_be_bytes(*timestamp);
                let is_right = self.verify_message(&cosigned(timestamp, text), bytes);
                (is_right && timestamp <= i64::MAX.cast_unsigned()).then_some(Some(timestamp))
            }
        }
    }

    fn verify_message(&self, message: &str, bytes: &[u8]) -> bool {
        let signature = ed25519_dalek::Signature::from_slice(bytes);
        // Strict: one signature is right or wrong for everybody, whatever they verify it with.
        signature.is_ok_and(|signature| self.key.verify_strict(message.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.algorithm as u8][..], self.key.as_bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), base64::encode(bytes))
    }
}

/// What signs. As text: `PRIVATE+KEY+name+number+base64`; the text is the secret.
pub struct SignerKey {
    verifier: VerifierKey,
    key: SigningKey,
}

impl SignerKey {
    /// The key of this name from 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when no key can have this name.
    pub fn new(name: &str, algorithm: Algorithm, secret: &[u8; 32]) -> Result<Self, Malformed> {
        if !is_key_name(name) {
            return Err(Malformed("the name of a key has no spaces and no plus sign, and is not empty"));
        }
        let key = SigningKey::from_bytes(secret);
        let verifier = VerifierKey { name: name.to_owned(), algorithm, key: key.verifying_key() };
        Ok(Self { verifier, key })
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is none, or of a kind that is not known here.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let parts = text.strip_prefix(PRIVATE).and_then(parse_parts);
        let (name, id, bytes) = parts.ok_or(Malformed("a signer key is PRIVATE+KEY+name+number+base64"))?;
        let (algorithm, secret) = split_algorithm(&bytes)?;
        let key = Self::new(name, algorithm, secret)?;
        let is_right = key.verifier.id() == id;
        if is_right { Ok(key) } else { Err(Malformed("the number of the key is not the key's")) }
    }

    /// The text of the key. It is the secret.
    #[must_use]
    pub fn secret_text(&self) -> String {
        let VerifierKey { name, algorithm, .. } = &self.verifier;
        let bytes = [&[*algorithm as u8][..], self.key.as_bytes()].concat();
        format!("{PRIVATE}{name}+{:08x}+{}", self.verifier.id(), base64::encode(bytes))
    }

    /// What verifies its signatures.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The line of its signature of `text`, with the line's end. A witness's key signs with time 0, which
    /// says nothing; use [`cosign`](Self::cosign).
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        match self.verifier.algorithm {
            Algorithm::Ed25519 => self.line(self.key.sign(text.as_bytes()).to_bytes().to_vec()),
            Algorithm::Cosignature => self.cosign(text, 0),
        }
    }

    /// The line of a witness: it saw the checkpoint of this text, and no larger one, at this time, in seconds
    /// since 1970.
    #[must_use]
    pub fn cosign(&self, text: &str, timestamp: u64) -> String {
        let signature = self.key.sign(cosigned(timestamp, text).as_bytes()).to_bytes();
        self.line([&timestamp.to_be_bytes()[..], &signature].concat())
    }

    fn line(&self, bytes: Vec<u8>) -> String {
        Signature { name: &self.verifier.name, id: self.verifier.id(), bytes }.to_string()
    }
}

impl fmt::Debug for SignerKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// What a witness signs.
fn cosigned(timestamp: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {timestamp}\n{text}")
}

/// Name, number and bytes.
fn parse_parts(text: &str) -> Option<(&str, u32, Vec<u8>)> {
    let (name, rest) = text.split_once('+')?;
    // Base 64 has the plus sign, too.
    let (id, bytes) = rest.split_once('+')?;
    let is_hex = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| is_hex && is_key_name(name))?;
    Some((name, id, base64::decode(bytes)?))
}

fn split_algorithm(bytes: &[u8]) -> Result<(Algorithm, &[u8; 32]), Malformed> {
    let (algorithm, key) = bytes.split_first().ok_or(Malformed("the key is empty"))?;
    let algorithm = Algorithm::from_byte(*algorithm).ok_or(Malformed("it is no Ed25519 key"))?;
    Ok((algorithm, key.try_into().map_err(|_| Malformed("an Ed25519 key has 32 bytes"))?))
}
