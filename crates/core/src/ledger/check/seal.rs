//! One seal against the one before it.

use super::Finding;
use crate::ledger::Malformed;
use crate::ledger::entries::{Entries, Entry};
use crate::ledger::hash::{Hash, sha256};
use crate::ledger::header::{SealHeader, SealKind};
use crate::ledger::snapshot::{Snapshot, Window};
use crate::ledger::tree::Frontier;
use crate::ledger::verdict::Code;

/// A seal as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Counts the seals, from 1.
    pub seal_no: u64,
    /// The life of the database that it belongs to.
    pub incarnation: u32,
    /// Counts the batches, from 1.
    pub batch: u64,
    /// Counts the seals of a batch, from 0.
    pub chunk: u32,
    /// Whether the batch ends with it.
    pub is_last: bool,
    /// What it covers.
    pub kind: SealKind,
    /// The snapshot after which its transactions finished.
    pub prev_snapshot: String,
    /// The snapshot in which they had finished.
    pub snapshot: String,
    /// The index of its first leaf, which describes the seal itself.
    pub first_leaf: u64,
    /// How many leaves it has, with the first.
    pub leaves: u32,
    /// The times of its oldest and its newest row, microseconds since 1970; 0 without rows.
    pub oldest_at: i64,
    /// See `oldest_at`.
    pub newest_at: i64,
    /// Which rows they are.
    pub entries: Vec<u8>,
    /// The leaves.
    pub leaf_hashes: Vec<u8>,
    /// The size of the tree with it.
    pub size_after: u64,
    /// The root of the tree with it.
    pub root_after: Vec<u8>,
    /// The roots of the perfect subtrees that make up the tree with it.
    pub frontier: Vec<u8>,
    /// When it was made, microseconds since 1970.
    pub sealed_at: i64,
    /// Whose tree it is.
    pub origin: String,
    /// The last signed checkpoint that was known, or empty.
    pub checkpoint_note: String,
}

impl Seal {
    /// What its first leaf describes.
    #[must_use]
    pub fn header(&self) -> SealHeader<'_> {
        SealHeader {
            seal_no: self.seal_no,
            incarnation: self.incarnation,
            batch: self.batch,
            chunk: self.chunk,
            is_last: self.is_last,
            kind: self.kind,
            prev_snapshot: &self.prev_snapshot,
            snapshot: &self.snapshot,
            first_leaf: self.first_leaf,
            rows: self.leaves.saturating_sub(1),
            oldest_at: self.oldest_at,
            newest_at: self.newest_at,
            entries_sha256: sha256(&[&self.entries]),
            sealed_at: self.sealed_at,
            origin: &self.origin,
            checkpoint_note: &self.checkpoint_note,
        }
    }

    /// The leaves; fewer than `leaves` when the list was cut.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        self.leaf_hashes.as_chunks::<32>().0
    }

    /// The tree with it; None when what is stored cannot be that of a tree of its size.
    #[must_use]
    pub fn tree(&self) -> Option<Frontier> {
        Frontier::from_bytes(self.size_after, &self.frontier)
    }

    /// The index of the leaf of a row, counted from 0.
    #[must_use]
    pub const fn leaf_index(&self, position: usize) -> u64 {
        // A seal that says anything about itself is read, too.
        self.first_leaf.wrapping_add(1).wrapping_add(position as u64)
    }

    /// The rows, in the order of the leaves after the first.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the list cannot be read.
    pub fn rows(&self) -> Result<Vec<Entry>, Malformed> {
        Entries::new(&self.entries)?.collect()
    }

    /// The last of the rows.
    #[must_use]
    pub fn last_row(&self) -> Option<Entry> {
        self.rows().ok()?.last().copied()
    }

    /// What finished between its two snapshots.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when they cannot be read.
    pub fn window(&self) -> Result<Window, Malformed> {
        Ok(Window { prev: Snapshot::parse(&self.prev_snapshot)?, next: Snapshot::parse(&self.snapshot)? })
    }

    /// Checks the seal against the one before it, whose tree is taken as it is stored: when every seal passes,
    /// the whole tree does. `subtree` is told the roots of the subtrees that are complete with it.
    pub fn check(
        &self,
        before: Option<&Self>,
        rows: &[Entry],
        findings: &mut Vec<Finding>,
        subtree: &mut impl FnMut(u8, u64, &Hash),
    ) {
        let mut report = |code, detail: &str| findings.push(Finding::of_seal(code, self, detail));
        if let Some(gap) = self.gap_after(before) {
            report(Code::SealGap, gap);
        }
        let hashes = self.hashes();
        let counts = [hashes.len(), rows.len() + 1, self.leaf_hashes.len().div_ceil(32)];
        if counts.iter().any(|&count| count != self.leaves as usize) {
            report(Code::SealGap, "it has not as many leaves as it says");
        }
        if hashes.first() != Some(&self.header().leaf()) {
            report(Code::Modified, "what it says about itself does not match its first leaf");
        }
        if let Some(problem) = self.order_problem(before, rows) {
            report(Code::Duplicate, problem);
        }
        let tree = before.map_or_else(|| Some(Frontier::new()), Self::tree);
        let Some(mut tree) = tree else {
            report(Code::TreeMismatch, "the tree before it cannot be read");
            return;
        };
        tree.extend(hashes, subtree);
        if self.root_after != tree.root()
            || self.frontier != tree.to_bytes()
            || self.size_after != tree.size()
        {
            report(Code::TreeMismatch, "its leaves do not make up the root that is stored with it");
        }
    }

    /// Why it does not follow the seal before it.
    fn gap_after(&self, before: Option<&Self>) -> Option<&'static str> {
        let Some(before) = before else {
            let is_first = (self.seal_no, self.batch, self.chunk, self.first_leaf) == (1, 1, 0, 0);
            return (!is_first).then_some("seals before it are missing");
        };
        if self.seal_no != before.seal_no.wrapping_add(1) || self.first_leaf != before.size_after {
            return Some("it does not begin where the one before it ends");
        }
        let same_snapshots = self.prev_snapshot == before.prev_snapshot && self.snapshot == before.snapshot;
        // What a life that ended left unfinished is taken up by the closing batch of the next.
        if !before.is_last && self.incarnation == before.incarnation {
            let goes_on = self.batch == before.batch
                && self.chunk == before.chunk.wrapping_add(1)
                && self.kind == before.kind
                && same_snapshots;
            return (!goes_on).then_some("the batch before it has no end");
        }
        if self.batch != before.batch.wrapping_add(1) || self.chunk != 0 {
            return Some("its batch does not follow the one before it");
        }
        if self.incarnation == before.incarnation {
            let follows = self.kind == SealKind::Window && self.prev_snapshot == before.snapshot;
            return (!follows).then_some("its window does not begin where the one before it ends");
        }
        (self.incarnation < before.incarnation).then_some("it belongs to an earlier life of the database")
    }

    /// Rows of a list stand in one order, and each transaction belongs to one window: so no row is there twice.
    fn order_problem(&self, before: Option<&Self>, rows: &[Entry]) -> Option<&'static str> {
        let last =
            before.filter(|before| !before.is_last && before.batch == self.batch).and_then(Self::last_row);
        if last.is_some_and(|last| rows.first().is_some_and(|first| first.key() <= last.key())) {
            return Some("its rows do not follow those of the seal before it");
        }
        if self.kind == SealKind::Closing {
            return None;
        }
        let Ok(window) = self.window() else {
            return Some("its snapshots cannot be read");
        };
        let is_inside = rows.iter().all(|entry| window.contains(entry.transaction_id.cast_unsigned()));
        (!is_inside).then_some("a row is in it whose transaction did not finish in its window")
    }
}
