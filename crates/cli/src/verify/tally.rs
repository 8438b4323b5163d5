//! What one part of a check found, so that parts can be added up.

use std::collections::{BTreeMap, BTreeSet};

use audit_guard_core::ledger::check;

use crate::facts::{Event, Facts};
use crate::report::Finding;

/// How many findings are kept, and how many rows that may turn out to be excused.
const KEPT: usize = 100_000;

/// A row of which something was erased.
#[derive(Clone, Debug)]
pub(super) struct Redacted {
    pub(super) stream_no: u16,
    pub(super) number: i64,
    pub(super) leaf_index: u64,
    pub(super) erased: Vec<(String, Option<String>)>,
}

/// A row that is in no seal and should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Orphan {
    pub(super) stream_no: u16,
    pub(super) transaction_id: i64,
    pub(super) number: i64,
}

/// A row that does not match its leaf, with what tells which field it is.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) leaf_index: u64,
    pub(super) hints: Vec<u8>,
    pub(super) names: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) findings: Vec<Finding>,
    pub(super) findings_total: u64,
    pub(super) leaves: u64,
    pub(super) rows: u64,
    /// Rows that were found in seals, by stream.
    pub(super) matched: BTreeMap<u16, u64>,
    pub(super) orphans: BTreeSet<Orphan>,
    pub(super) redacted: Vec<Redacted>,
    pub(super) events: Vec<Event>,
    /// Rows that are gone with their month, by stream and month.
    pub(super) pruned: BTreeMap<(u16, u32), u64>,
    /// Schemas that are not registered, or cannot be read.
    pub(super) unknown_schemas: BTreeSet<u32>,
    /// Which claims about roots were looked at, and whether they hold.
    pub(super) claims: BTreeMap<usize, bool>,
}

impl Tally {
    pub(super) fn push(&mut self, finding: Finding) {
        self.findings_total += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }

    /// Takes over what the comparison found.
    pub(super) fn take(&mut self, facts: &Facts, findings: Vec<check::Finding>) {
        for finding in findings {
            self.push(Finding {
                code: finding.code.as_str(),
                stream: finding.row.map(|(stream_no, _)| facts.stream_name(stream_no)),
                id: finding.row.map(|(_, number)| number.to_string()),
                leaf_index: finding.leaf_index,
                field: None,
                detail: finding.detail,
            });
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.findings_total += other.findings_total;
        self.findings.extend(other.findings);
        self.findings.truncate(KEPT);
        self.leaves += other.leaves;
        self.rows += other.rows;
        for (stream, rows) in other.matched {
            *self.matched.entry(stream).or_default() += rows;
        }
        self.orphans.extend(other.orphans);
        self.redacted.extend(other.redacted);
        self.events.extend(other.events);
        for (month, rows) in other.pruned {
            *self.pruned.entry(month).or_default() += rows;
        }
        self.unknown_schemas.extend(other.unknown_schemas);
        self.claims.extend(other.claims);
    }
}
