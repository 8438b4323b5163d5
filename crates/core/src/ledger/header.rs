//! The first leaf of each seal: what the seal says about itself.

use super::hash::{Hash, sha256};
use super::reader::push_prefixed;
use super::record::{Kind, RECORD_BYTES, Record, leaf_of};

/// What a seal covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SealKind {
    /// What finished between two snapshots.
    Window = 0,
    /// What was there, in no seal, when a new incarnation began.
    Closing = 1,
}

impl SealKind {
    /// The kind of this number.
    #[must_use]
    pub const fn from_number(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::Window),
            1 => Some(Self::Closing),
            _ => None,
        }
    }
}

/// A seal, but for its leaves. The numbers are never negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealHeader<'a> {
    /// Counts the seals of this database.
    pub seal_no: u64,
    /// Counts the lives of this database.
    pub incarnation: u32,
    /// Counts the batches.
    pub batch: u64,
    /// Counts the seals of one batch, from 0.
    pub chunk: u32,
    /// Whether the batch ends with it.
    pub is_last: bool,
    /// What it covers.
    pub kind: SealKind,
    /// The snapshot of the batch before, as `pg_snapshot` is printed.
    pub prev_snapshot: &'a str,
    /// The snapshot of this batch.
    pub snapshot: &'a str,
    /// The index of the header's leaf.
    pub first_leaf: u64,
    /// How many leaves follow the header's.
    pub rows: u32,
    /// The time of the oldest row, microseconds since 1970; 0 without rows.
    pub oldest_at: i64,
    /// The time of the newest row; 0 without rows.
    pub newest_at: i64,
    /// The SHA-256 of the list of rows, see [`super::entries`].
    pub entries_sha256: Hash,
    /// When it was sealed, microseconds since 1970.
    pub sealed_at: i64,
    /// Whose tree it is.
    pub origin: &'a str,
    /// The last signed checkpoint that the database had been given, or empty.
    pub checkpoint_note: &'a str,
}

impl SealHeader<'_> {
    /// What is hashed of it.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(256 + self.checkpoint_note.len());
        body.extend_from_slice(&self.seal_no.to_be_bytes());
        body.extend_from_slice(&self.incarnation.to_be_bytes());
        body.extend_from_slice(&self.batch.to_be_bytes());
        body.extend_from_slice(&self.chunk.to_be_bytes());
        body.push(u8::from(self.is_last));
        body.push(self.kind as u8);
        push_prefixed(self.prev_snapshot.as_bytes(), &mut body);
        push_prefixed(self.snapshot.as_bytes(), &mut body);
        body.extend_from_slice(&self.first_leaf.to_be_bytes());
        body.extend_from_slice(&self.rows.to_be_bytes());
        body.extend_from_slice(&self.oldest_at.to_be_bytes());
        body.extend_from_slice(&self.newest_at.to_be_bytes());
        body.extend_from_slice(&self.entries_sha256);
        body.extend_from_slice(&self.sealed_at.to_be_bytes());
        push_prefixed(self.origin.as_bytes(), &mut body);
        push_prefixed(self.checkpoint_note.as_bytes(), &mut body);
        body
    }

    /// Its record.
    #[must_use]
    pub fn record(&self) -> [u8; RECORD_BYTES] {
        Record {
            kind: Kind::Seal,
            schema_no: 0,
            commitments: 0,
            number: self.seal_no.cast_signed(),
            transaction_id: i64::from(self.incarnation),
            time: self.sealed_at,
            fields_root: sha256(&[b"agh1", &self.body()]),
        }
        .to_bytes()
    }

    /// Its leaf.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf_of(&self.record())
    }
}
