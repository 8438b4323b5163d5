//! The ledger: rows become leaves of one Merkle tree per database, and whoever holds a root of that tree can
//! tell later whether a row was changed, removed or slipped in.
//!
//! The format is written down in `docs/ledger-format.md`; this module is its reference. All integers are
//! big-endian, and `LP(x)` is the length of `x` as u32 and then `x`.
//!
//! * [`hash`], [`tree`]: SHA-256 and the tree of RFC 6962.
//! * [`value`], [`json`], [`schema`], [`row`], [`record`]: from the values of a row to its leaf.
//! * [`redaction`]: rows of which parts were erased, and that still give their leaf.
//! * [`header`], [`entries`], [`snapshot`]: which rows a seal covers.
//! * [`proof`], [`note`], [`checkpoint`], [`tlog_proof`], [`tile`]: what others check it with.
//! * [`receipt`]: one row with everything that shows it was sealed.
//! * [`verdict`]: what is found.

pub mod base64;
pub mod check;
pub mod checkpoint;
pub mod entries;
pub mod hash;
pub mod header;
pub mod hint;
pub mod json;
pub mod note;
pub mod proof;
mod reader;
pub mod receipt;
pub mod record;
pub mod redaction;
pub mod row;
pub mod schema;
pub mod snapshot;
pub mod streams;
pub mod tile;
pub mod tlog_proof;
pub mod tree;
pub mod value;
pub mod verdict;

use std::fmt;

/// A text or a blob that is not what it has to be, and why. The reason never repeats what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}
