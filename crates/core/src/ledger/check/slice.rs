//! The rows of some consecutive seals.

use super::{Finding, Seal};
use crate::ledger::Malformed;
use crate::ledger::entries::Entry;
use crate::ledger::hash::Hash;
use crate::ledger::header::SealKind;
use crate::ledger::snapshot::Window;
use crate::ledger::verdict::Code;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A place in the order of a stream: a transaction, and the number of a row of it.
pub type Position = (i64, i64);

/// Rows after the first position, up to and including the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What was there before.
    pub after: Position,
    /// The last that belongs to it.
    pub up_to: Position,
}

impl Span {
    /// All rows of the transactions from the first to the last.
    #[must_use]
    pub const fn of_transactions(first: i64, last: i64) -> Self {
        Self { after: (first.saturating_sub(1), i64::MAX), up_to: (last, i64::MAX) }
    }
}

/// A place in the order of a batch: a stream, and a position in it.
pub type Key = (u16, i64, i64);

/// The least span that holds all these positions, which are in order; None when there are none.
#[must_use]
pub fn span_around(positions: impl Iterator<Item = Position>) -> Option<Span> {
    let mut span: Option<Span> = None;
    for (transaction, number) in positions {
        let first = Span { after: (transaction, number.saturating_sub(1)), up_to: (transaction, number) };
        span.get_or_insert(first).up_to = (transaction, number);
    }
    span
}

/// Where the rows of a window lie in a stream: those of transactions that began before the window and finished in
/// it, and those of the transactions that began in it, of which not all belong to it. Only what comes after one
/// place and not after another.
#[must_use]
pub fn window_spans(window: &Window, stream_no: u16, after: Option<Key>, up_to: Option<Key>) -> Vec<Span> {
    let signed = |transaction: u64| i64::try_from(transaction).unwrap_or(i64::MAX);
    let range = window.range();
    let late = window.late().map(|late| Span::of_transactions(signed(late), signed(late)));
    let rest = Span::of_transactions(signed(range.start), signed(range.end).saturating_sub(1));
    let mut spans: Vec<Span> = late.chain([rest]).collect();
    for span in &mut spans {
        if let Some((stream, transaction, number)) = after {
            match stream_no.cmp(&stream) {
                Ordering::Less => span.up_to = span.after,
                Ordering::Equal => span.after = span.after.max((transaction, number)),
                Ordering::Greater => {}
            }
        }
        if let Some((stream, transaction, number)) = up_to {
            match stream_no.cmp(&stream) {
                Ordering::Less => {}
                Ordering::Equal => span.up_to = span.up_to.min((transaction, number)),
                Ordering::Greater => span.up_to = span.after,
            }
        }
    }
    spans.retain(|span| span.after < span.up_to);
    spans
}

/// A row as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRow {
    /// Its stream.
    pub stream_no: u16,
    /// Where it stands.
    pub position: Position,
}

/// A row that was sealed.
#[derive(Debug, Clone, Copy)]
struct Sealed {
    entry: Entry,
    leaf_index: u64,
    hash: Hash,
    was_seen: bool,
}

/// Some consecutive seals of one life of the database, and the rows that belong to them.
#[derive(Debug)]
pub struct Slice {
    rows: Vec<Sealed>,
    windows: Vec<Window>,
    kind: SealKind,
    /// What of the first batch belongs to seals before the slice, and what of the last one to those after it.
    begins_after: Option<Key>,
    ends_with: Option<Key>,
    /// Where the last row was found, because rows come in order.
    next: usize,
}

impl Slice {
    /// Takes `seals` up, which follow `before`, and checks them against each other; what is wrong is reported to
    /// `findings`. `subtree` is told the roots of the subtrees that are complete with them.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is no seal, when they belong to several lives, or closing seals stand among
    /// others.
    pub fn new(
        before: Option<&Seal>,
        seals: &[Seal],
        findings: &mut Vec<Finding>,
        subtree: &mut impl FnMut(u8, u64, &Hash),
    ) -> Result<Self, Malformed> {
        let (Some(first), Some(last)) = (seals.first(), seals.last()) else {
            return Err(Malformed("there is no seal"));
        };
        if seals.iter().any(|seal| (seal.incarnation, seal.kind) != (first.incarnation, first.kind)) {
            return Err(Malformed("the seals belong to several lives of the database"));
        }
        let mut rows = Vec::new();
        let mut windows: Vec<Window> = Vec::new();
        let mut previous = before;
        for seal in seals {
            let entries = seal.rows().unwrap_or_else(|defect| {
                findings.push(Finding::of_seal(Code::SealGap, seal, format!("its list of rows: {defect}")));
                Vec::new()
            });
            seal.check(previous, &entries, findings, subtree);
            let leaves = seal.hashes().iter().skip(1).enumerate();
            rows.extend(entries.into_iter().zip(leaves).map(|(entry, (position, &hash))| Sealed {
                entry,
                leaf_index: seal.leaf_index(position),
                hash,
                was_seen: false,
            }));
            let window = seal.window()?;
            if windows.last() != Some(&window) {
                windows.push(window);
            }
            previous = Some(seal);
        }
        rows.sort_by_key(|row| row.entry.key());
        Ok(Self {
            rows,
            windows,
            kind: first.kind,
            begins_after: before
                .filter(|seal| !seal.is_last && seal.batch == first.batch)
                .and_then(Seal::last_row)
                .map(|row| row.key()),
            ends_with: (!last.is_last).then(|| last.last_row().map_or((0, 0, 0), |row| row.key())),
            next: 0,
        })
    }

    /// The streams that rows were sealed of, with their schemas.
    #[must_use]
    pub fn schemas(&self) -> Vec<(u16, u32)> {
        let mut schemas: Vec<(u16, u32)> =
            self.rows.iter().map(|row| (row.entry.stream_no, row.entry.schema_no)).collect();
        schemas.sort_unstable();
        schemas.dedup();
        schemas
    }

    /// Where the rows of a stream lie that have to be looked at. Not each of them belongs to the slice.
    #[must_use]
    pub fn spans(&self, stream_no: u16) -> Vec<Span> {
        let (Some(first), Some(last)) = (self.windows.first(), self.windows.last()) else {
            return Vec::new();
        };
        if self.kind == SealKind::Closing {
            let own = self.rows.iter().filter(|row| row.entry.stream_no == stream_no);
            return span_around(own.map(|row| (row.entry.transaction_id, row.entry.number)))
                .into_iter()
                .collect();
        }
        let whole = Window { prev: first.prev.clone(), next: last.next.clone() };
        // A batch that is cut at either end is one batch only.
        let is_one = self.windows.len() == 1;
        let (after, up_to) = (self.begins_after.filter(|_| is_one), self.ends_with.filter(|_| is_one));
        window_spans(&whole, stream_no, after, up_to)
    }

    /// The schema under which a row was sealed; None when it is not in these seals.
    pub fn schema_of(&mut self, row: &StoredRow) -> Option<u32> {
        self.find(row).map(|sealed| sealed.entry.schema_no)
    }

    /// Compares a row with its leaf; `hash` is None when the row gives none.
    pub fn compare(&mut self, row: &StoredRow, hash: Option<Hash>) -> Option<Finding> {
        let sealed = self.find(row)?;
        let (code, detail) = if std::mem::replace(&mut sealed.was_seen, true) {
            (Code::Duplicate, "the row is there twice")
        } else if hash != Some(sealed.hash) {
            (Code::Modified, "the stored row does not match its leaf")
        } else {
            return None;
        };
        Some(Finding {
            code,
            row: Some((row.stream_no, row.position.1)),
            leaf_index: Some(sealed.leaf_index),
            detail: detail.to_owned(),
        })
    }

    /// The leaf of a row that is in these seals.
    pub fn leaf_index(&mut self, row: &StoredRow) -> Option<u64> {
        self.find(row).map(|sealed| sealed.leaf_index)
    }

    /// Whether a row that is not in these seals should be: its transaction finished in one of their windows, and
    /// its place is not in seals before or after them.
    #[must_use]
    pub fn should_have(&self, row: &StoredRow) -> bool {
        let Ok(transaction) = u64::try_from(row.position.0) else { return false };
        if self.kind == SealKind::Closing {
            return false;
        }
        let at = self.windows.partition_point(|window| !window.next.is_finished(transaction));
        let Some(window) = self.windows.get(at) else { return false };
        let key = (row.stream_no, row.position.0, row.position.1);
        let is_before = at == 0 && self.begins_after.is_some_and(|last| key <= last);
        let is_after = at + 1 == self.windows.len() && self.ends_with.is_some_and(|last| key > last);
        window.contains(transaction) && !is_before && !is_after
    }

    /// The sealed rows of a stream that were not compared, and how many of each month are excused because their
    /// months were removed.
    #[must_use]
    pub fn missing(
        &self,
        stream_no: u16,
        is_pruned: impl Fn(u32) -> bool,
    ) -> (Vec<Finding>, BTreeMap<u32, u64>) {
        let mut findings = Vec::new();
        let mut pruned = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.entry.stream_no == stream_no && !row.was_seen) {
            if is_pruned(row.entry.month) {
                *pruned.entry(row.entry.month).or_default() += 1;
            } else {
                findings.push(Finding {
                    code: Code::Missing,
                    row: Some((stream_no, row.entry.number)),
                    leaf_index: Some(row.leaf_index),
                    detail: format!("the row of transaction {} is gone", row.entry.transaction_id),
                });
            }
        }
        (findings, pruned)
    }

    fn find(&mut self, row: &StoredRow) -> Option<&mut Sealed> {
        let key = (row.stream_no, row.position.0, row.position.1);
        let is_next = |at: usize| self.rows.get(at).is_some_and(|sealed| sealed.entry.key() == key);
        let at = if is_next(self.next) {
            self.next
        } else if is_next(self.next + 1) {
            self.next + 1
        } else {
            self.rows.binary_search_by_key(&key, |sealed| sealed.entry.key()).ok()?
        };
        self.next = at;
        self.rows.get_mut(at)
    }
}
