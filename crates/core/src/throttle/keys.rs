//! The keys under which failures are counted: the first 16 bytes of a SHA-256, so that no address is kept and
//! every key has the same length.

use std::borrow::Cow;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// A longer email is none; its bytes are hashed as they are.
const LONGEST_EMAIL: usize = 1024;

/// The key of an account, however its email is written; None when it is blank.
#[must_use]
pub fn account_key(email: &str, fold_plus_tags: bool) -> Option<[u8; 16]> {
    let email = email.trim();
    let name =
        if email.len() > LONGEST_EMAIL { Cow::Borrowed(email) } else { normalised(email, fold_plus_tags) };
    (!name.is_empty()).then(|| hash("agk1a", [name.as_bytes()]))
}

/// The key of an account in a network.
#[must_use]
pub fn pair_key(account: &[u8; 16], network: IpAddr, prefix: u8) -> [u8; 16] {
    match network {
        IpAddr::V4(address) => hash("agk1p", [account.as_slice(), &[4, prefix], &address.octets()]),
        IpAddr::V6(address) => hash("agk1p", [account.as_slice(), &[6, prefix], &address.octets()]),
    }
}

/// The key of an account on a device; None when the device's fingerprint is blank.
#[must_use]
pub fn device_key(account: &[u8; 16], fingerprint: &str) -> Option<[u8; 16]> {
    let has_name = !fingerprint.trim().is_empty();
    has_name.then(|| hash("agk1d", [account.as_slice(), fingerprint.as_bytes()]))
}

/// What stands for an account among the failures of a network.
#[must_use]
pub fn account_tag(account: &[u8; 16]) -> u16 {
    let [first, second, ..] = *account;
    u16::from_be_bytes([first, second])
}

/// The number under which a person is locked.
#[must_use]
pub fn person_hash(subject: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash("agk1s", [subject.as_bytes()]);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// One spelling for all spellings of an email: without blanks around it, in the compatible composed form of
/// Unicode, in lower case and, if wanted, without a tag (`name+tag@example.org`).
#[must_use]
pub fn normalised(email: &str, fold_plus_tags: bool) -> Cow<'_, str> {
    let email = email.trim();
    let name = if !email.is_ascii() {
        Cow::Owned(folded(email))
    } else if email.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(email.to_ascii_lowercase())
    } else {
        Cow::Borrowed(email)
    };
    match tag(&name).filter(|_| fold_plus_tags) {
        Some((local, domain)) => Cow::Owned(format!("{local}{domain}")),
        None => name,
    }
}

/// Lower case can take a text out of its composed form, and composing can bring blanks to its ends.
fn folded(text: &str) -> String {
    let lower = text.nfkc().flat_map(char::to_lowercase).map(|letter| match letter {
        // The same letter at the end of a word.
        'ς' => 'σ',
        letter => letter,
    });
    lower.nfkc().collect::<String>().trim().to_owned()
}

/// What stands before a tag and after it, the domain with its sign.
fn tag(email: &str) -> Option<(&str, &str)> {
    let (local, domain) = email.split_at(email.rfind('@')?);
    let (name, _) = local.split_once('+')?;
    (!name.is_empty()).then_some((name, domain))
}

fn hash<const N: usize>(kind: &str, parts: [&[u8]; N]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(kind);
    for part in parts {
        hash.update(part);
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = <[u8; 32]>::from(hash.finalize());
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}
