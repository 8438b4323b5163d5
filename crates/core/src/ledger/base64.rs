//! Base 64 of RFC 4648, section 4, in the one form that every text of the ledger uses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::hash::Hash;

/// The text of these bytes.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(super) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

pub(super) fn decode_hash(text: &str) -> Option<Hash> {
    decode_array(text)
}
