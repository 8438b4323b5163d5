//! The 72 bytes that a leaf of the tree is the hash of.

use super::hash::{Hash, sha256_of};
use super::reader::Reader;

/// How many bytes a record has.
pub const RECORD_BYTES: usize = 72;

const MAGIC: &[u8; 4] = b"agl1";

/// What a leaf stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A row.
    Row = 1,
    /// A seal: its first leaf.
    Seal = 2,
}

/// A record, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it stands for.
    pub kind: Kind,
    /// Which schema the row has; 0 for a seal.
    pub schema_no: u32,
    /// How many commitments are in `fields_root`; 0 for a seal.
    pub commitments: u32,
    /// The row's number in its stream, or the seal's.
    pub number: i64,
    /// Which transaction wrote the row; of a seal the incarnation.
    pub transaction_id: i64,
    /// Microseconds since 1970.
    pub time: i64,
    /// What the contents hash to.
    pub fields_root: Hash,
}

impl Record {
    /// The 72 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        // The ranges are constant and within 72 bytes.
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.schema_no.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.commitments.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.transaction_id.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.time.to_be_bytes());
        bytes[40..].copy_from_slice(&self.fields_root);
        bytes
    }

    /// Reads 72 bytes; `None` when they are no record of version 1.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.array::<4>().ok()? != *MAGIC {
            return None;
        }
        let kind = match reader.array::<4>().ok()? {
            [1, 0, 0, 0] => Kind::Row,
            [2, 0, 0, 0] => Kind::Seal,
            _ => return None,
        };
        let record = Self {
            kind,
            schema_no: reader.u32().ok()?,
            commitments: reader.u32().ok()?,
            number: reader.array().map(i64::from_be_bytes).ok()?,
            transaction_id: reader.array().map(i64::from_be_bytes).ok()?,
            time: reader.array().map(i64::from_be_bytes).ok()?,
            fields_root: reader.array().ok()?,
        };
        reader.is_empty().then_some(record)
    }

    /// The leaf of this record.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf_of(&self.to_bytes())
    }
}

/// The leaf of a record.
#[must_use]
pub fn leaf_of(record: &[u8; RECORD_BYTES]) -> Hash {
    let mut message = [0; RECORD_BYTES + 1];
    message[1..].copy_from_slice(record);
    sha256_of(&message)
}
