//! The rows of some seals against their leaves, wherever rows and seals come from.

use std::collections::BTreeMap;

use audit_guard_core::ledger::check::{Finding, Seal, Slice, StoredRow};
use audit_guard_core::ledger::entries::month_of;
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::header::SealKind;
use audit_guard_core::ledger::tree::Frontier;
use audit_guard_core::ledger::value::Value;

use super::Subject;
use super::tally::{Changed, Orphan, Redacted, Tally};
use crate::facts::{EXCUSES, Event, GUARD_EVENTS, KnownSchema};
use crate::leaf::{self, Cell, LeafMaker, RowHead};

/// How many changed rows of a slice are looked at for which field it is.
const EXAMINED: usize = 200;

/// The columns of a row.
pub(super) trait Columns {
    fn cell(&self, place: Option<usize>) -> Cell<'_>;
}

/// A slice that is being checked.
pub(super) struct SliceCheck<'a> {
    subject: &'a Subject,
    pub(super) slice: Slice,
    incarnation: u32,
    is_closing: bool,
    maker: &'a mut LeafMaker,
    pub(super) tally: Tally,
    pub(super) changed: Vec<Changed>,
    /// Roots of subtrees that are complete with these seals: level, index, root.
    pub(super) subtrees: Vec<(u8, u64, Hash)>,
}

impl<'a> SliceCheck<'a> {
    /// Checks the seals themselves. None when they cannot be taken together; the tally says why.
    pub(super) fn begin(
        subject: &'a Subject,
        maker: &'a mut LeafMaker,
        before: Option<&Seal>,
        seals: &[Seal],
        tally: &mut Tally,
    ) -> Option<Self> {
        let mut findings = Vec::new();
        let mut subtrees = Vec::new();
        let slice = Slice::new(before, seals, &mut findings, &mut |level, index, hash| {
            subtrees.push((level, index, *hash));
        });
        tally.take(&subject.facts, findings);
        let first = seals.first()?;
        match slice {
            Ok(slice) => Some(Self {
                subject,
                slice,
                incarnation: first.incarnation,
                is_closing: first.kind == SealKind::Closing,
                maker,
                tally: Tally::default(),
                changed: Vec::new(),
                subtrees,
            }),
            Err(defect) => {
                tally.push(crate::report::Finding {
                    leaf_index: Some(first.first_leaf),
                    ..crate::report::Finding::new("seal_gap", format!("seal {}: {defect}", first.seal_no))
                });
                None
            }
        }
    }

    /// Looks at a row.
    pub(super) fn row(&mut self, head: &RowHead<'_>, columns: &impl Columns) {
        let RowHead { stream_no, transaction_id, number, .. } = *head;
        let stored = StoredRow { stream_no, position: (transaction_id, number) };
        let Some(schema_no) = self.slice.schema_of(&stored) else {
            let (floor, ceiling) = self.subject.facts.numbers_of(self.incarnation, stream_no);
            let is_of_this_life = number > floor && number <= ceiling;
            if !self.is_closing && is_of_this_life && self.slice.should_have(&stored) {
                self.tally.orphans.insert(Orphan { stream_no, transaction_id, number });
            }
            return;
        };
        self.tally.rows += 1;
        *self.tally.matched.entry(stream_no).or_default() += 1;
        let subject = self.subject;
        let known = subject.schemas.get(&schema_no).filter(|known| known.schema.stream_no == stream_no);
        let Some(known) = known else {
            self.tally.unknown_schemas.insert(schema_no);
            // What cannot be derived is not called changed.
            self.slice.compare(&stored, None);
            return;
        };
        let place = |at: usize| known.places.get(at).copied().flatten();
        let hash = self.maker.leaf(known, head, |at| columns.cell(place(at)));
        let finding = self.slice.compare(&stored, hash);
        let leaf_index = self.slice.leaf_index(&stored).unwrap_or(0);
        match finding {
            Some(finding) => self.note(finding, known, hash, leaf_index, |at| columns.cell(place(at))),
            None => self.excuses(head, known, leaf_index, |at| columns.cell(place(at))),
        }
    }

    /// A row that does not match.
    fn note<'c>(
        &mut self,
        finding: Finding,
        known: &KnownSchema,
        hash: Option<Hash>,
        leaf_index: u64,
        cell: impl Fn(usize) -> Cell<'c>,
    ) {
        if hash.is_some() && self.changed.len() < EXAMINED {
            let hints = self.maker.hints(known, cell);
            let names = known.schema.fields.iter().map(|field| field.name.clone()).collect();
            self.changed.push(Changed { leaf_index, hints, names });
        }
        self.tally.take(&self.subject.facts, vec![finding]);
    }

    /// A row that matches: it may excuse others, and others may have to excuse it.
    fn excuses<'c>(
        &mut self,
        head: &RowHead<'_>,
        known: &KnownSchema,
        leaf_index: u64,
        cell: impl Fn(usize) -> Cell<'c>,
    ) {
        if let Some(blob) = head.redaction {
            let (stream_no, number) = (head.stream_no, head.number);
            self.tally.redacted.push(Redacted {
                stream_no,
                number,
                leaf_index,
                erased: leaf::erased(known, blob),
            });
        }
        if head.stream_no != GUARD_EVENTS {
            return;
        }
        let text = |name: &str| {
            let at = known.schema.fields.iter().position(|field| field.name == name)?;
            match cell(at).value(known.schema.fields.get(at)?.kind)? {
                Value::Text(text) | Value::Jsonb(text) => Some(text),
                _ => None,
            }
        };
        if let Some(kind) = text("kind").filter(|kind| EXCUSES.contains(&kind.as_str())) {
            let detail = text("detail").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            let object = text("object").unwrap_or_default();
            self.tally.events.push(Event {
                id: head.number,
                logged_at: head.time,
                kind,
                object,
                detail,
                is_sealed: true,
            });
        }
    }

    /// What is missing, now that all rows were looked at.
    pub(super) fn finish(mut self, streams: &[u16]) -> (Tally, Vec<Changed>) {
        for &stream_no in streams {
            let excused =
                |month: u32| self.subject.months.iter().any(|months| months.covers(stream_no, month));
            let (findings, pruned) = self.slice.missing(stream_no, excused);
            self.tally.take(&self.subject.facts, findings);
            for (month, rows) in pruned {
                *self.tally.pruned.entry((stream_no, month)).or_default() += rows;
            }
        }
        (self.tally, self.changed)
    }
}

/// Months of a stream that a certificate says were removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Months {
    pub(super) stream_no: u16,
    pub(super) from: u32,
    /// Not included.
    pub(super) to: u32,
}

impl Months {
    /// From a certificate's `from` and `to`; without `from` it is everything before.
    pub(super) fn of(stream_no: u16, detail: &serde_json::Value) -> Option<Self> {
        let micros = |name: &str| {
            let text = detail.get(name)?.as_str()?;
            chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
        };
        let is_first_moment = |time: i64| month_of(time) != month_of(time - 1);
        let to = micros("to").filter(|to| is_first_moment(*to)).map(month_of)?;
        let from = match detail.get("from") {
            None | Some(serde_json::Value::Null) => 0,
            Some(_) => micros("from").filter(|from| is_first_moment(*from)).map(month_of)?,
        };
        Some(Self { stream_no, from, to })
    }

    pub(super) fn covers(&self, stream_no: u16, month: u32) -> bool {
        self.stream_no == stream_no && (self.from..self.to).contains(&month)
    }
}

/// The roots of the tree at some sizes within these seals, which follow `before`.
pub(super) fn roots_at(before: Option<&Seal>, seals: &[Seal], sizes: &[u64]) -> BTreeMap<u64, Hash> {
    let mut roots = BTreeMap::new();
    let Some(mut tree) = before.map_or_else(|| Some(Frontier::new()), Seal::tree) else { return roots };
    let mut sizes: Vec<u64> = sizes.to_vec();
    sizes.sort_unstable();
    let mut wanted = sizes.into_iter().peekable();
    for seal in seals {
        let mut hashes = seal.hashes();
        while let Some(size) = wanted.next_if(|size| *size <= tree.size() + hashes.len() as u64) {
            // Sizes ascend, and this one is within what is left.
            let (now, rest) = hashes.split_at(size.saturating_sub(tree.size()) as usize);
            tree.extend(now, &mut |_, _, _| {});
            hashes = rest;
            roots.insert(size, tree.root());
        }
        tree.extend(hashes, &mut |_, _, _| {});
    }
    roots
}

/// The names of the fields of a changed row whose bytes beside the leaves are others now. None when the bytes
/// are not there, or tell nothing.
pub(super) fn changed_fields(
    seal: &Seal,
    hints: &[u8],
    row: &Changed,
    fields_of: impl Fn(u32) -> usize,
) -> Option<Vec<String>> {
    let place = usize::try_from(row.leaf_index.checked_sub(seal.first_leaf + 1)?).ok()?;
    let rows = seal.rows().ok()?;
    let before: usize = rows.get(..place)?.iter().map(|entry| fields_of(entry.schema_no)).sum();
    let own = hints.get(before..before + row.hints.len())?;
    let changed = row.names.iter().zip(row.hints.iter().zip(own)).filter(|(_, (now, then))| now != then);
    let names: Vec<String> = changed.map(|(name, _)| name.clone()).collect();
    (!names.is_empty()).then_some(names)
}
