//! Verifying: the rows of some seals once more, and whether they still give their leaves.

use super::rows;
use super::store::{self, Incarnation, Stream};
use super::stream::{LeafMaker, RowPlace, Rows, redaction_of};
use crate::pg::errors;
use crate::pg::query::{Argument, select};
use crate::pg::tuple::Values;
use audit_guard_core::ledger::check::{Finding, Slice, StoredRow};
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::redaction::{Redaction, State};
use audit_guard_core::ledger::streams;
use audit_guard_core::ledger::value::time_from_2000;
use audit_guard_core::ledger::verdict::Code;
use pgrx::prelude::*;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Findings that one call reports one by one; the rest are counted.
const MAX_FINDINGS: usize = 1000;

/// A row of audit.verdict: code, stream, id, leaf index, field, detail, rows checked.
type Verdict =
    (String, Option<String>, Option<String>, Option<i64>, Option<String>, Option<String>, Option<i64>);

/// Compares the rows of consecutive seals with their leaves and the leaves with the tree. The last row of the result
/// has the code `checked` and tells how many rows were read whose time lies in the range. Besides what is wrong it
/// reports `redacted` rows with what was erased, and `pruned` months with how many rows are gone. An empty `stream`
/// means no rows at all.
#[pg_extern(sql = false, stable, parallel_safe)]
fn verify_slice(
    first_seal: i64,
    last_seal: i64,
    stream: Option<&str>,
    since: Option<TimestampWithTimeZone>,
    until: Option<TimestampWithTimeZone>,
) -> TableIterator<
    'static,
    (
        name!(code, String),
        name!(stream, Option<String>),
        name!(id, Option<String>),
        name!(leaf_index, Option<i64>),
        name!(field, Option<String>),
        name!(detail, Option<String>),
        name!(rows_checked, Option<i64>),
    ),
> {
    let range = [since, until].map(|time| time.map(|time| time_from_2000(time.into_inner())));
    let seals = u64::try_from(first_seal).ok().zip(u64::try_from(last_seal).ok());
    let Some(mut run) = seals.and_then(|(first, last)| Run::new(first, last, range)) else {
        return TableIterator::new(not_seals(first_seal, last_seal));
    };
    let mut streams: BTreeMap<u16, Vec<Stream>> = BTreeMap::new();
    for known in store::registered_schemas() {
        streams.entry(known.stream_no).or_default().push(known);
    }
    run.report_unknown(&streams);
    for schemas in streams.values() {
        if stream.is_none_or(|wanted| schemas.iter().any(|known| known.name == wanted)) {
            run.check_stream(schemas);
        }
    }
    TableIterator::new(run.verdicts(&streams))
}

struct Run {
    slice: Slice,
    findings: Vec<Finding>,
    /// Findings beyond those that are reported one by one.
    more: usize,
    others: Vec<Verdict>,
    floors: BTreeMap<u16, i64>,
    /// Above these, rows belong to a later life.
    ceilings: BTreeMap<u16, i64>,
    range: [Option<i64>; 2],
    checked: i64,
    maker: LeafMaker,
}

impl Run {
    /// None when there are no such seals, or they do not belong together.
    fn new(first: u64, last: u64, range: [Option<i64>; 2]) -> Option<Self> {
        let seals = store::seals(first, last);
        let before = store::seals(first.saturating_sub(1), first.saturating_sub(1)).pop();
        let mut findings = Vec::new();
        let mut subtrees = Vec::new();
        let slice = Slice::new(before.as_ref(), &seals, &mut findings, &mut |level, index, root| {
            subtrees.push((level, index, *root));
        });
        let (slice, own) = (slice.ok()?, seals.first()?);
        compare_subtrees(&subtrees, own.first_leaf, &mut findings);
        let lives = store::incarnations();
        let life = i64::from(own.incarnation);
        let floors_of = |life: Option<&Incarnation>| life.map(|life| life.floors.clone()).unwrap_or_default();
        Some(Self {
            slice,
            findings,
            more: 0,
            others: Vec::new(),
            floors: floors_of(lives.iter().find(|one| one.number == life)),
            ceilings: floors_of(lives.iter().rev().find(|one| one.number > life && one.was_declared)),
            range,
            checked: 0,
            maker: LeafMaker::default(),
        })
    }

    /// Rows that were sealed under a schema that nobody knows.
    fn report_unknown(&mut self, streams: &BTreeMap<u16, Vec<Stream>>) {
        for (stream_no, schema_no) in self.slice.schemas() {
            let is_known =
                streams.get(&stream_no).is_some_and(|all| all.iter().any(|one| one.schema_no == schema_no));
            if !is_known {
                self.findings.push(Finding {
                    code: Code::UnknownSchema,
                    row: Some((stream_no, 0)),
                    leaf_index: None,
                    detail: format!("rows were sealed under schema {schema_no}, which is not there, or their table is gone"),
                });
            }
        }
    }

    /// Reads the rows of a stream, once under each schema that rows of these seals have.
    fn check_stream(&mut self, schemas: &[Stream]) {
        let Some(newest) = schemas.last() else { return };
        let (schema, table) = &newest.names;
        if !streams::may_be(newest.stream_no, &newest.name, (schema, table)) {
            self.findings.push(Finding {
                code: Code::UnknownSchema,
                row: Some((newest.stream_no, 0)),
                leaf_index: None,
                detail: format!(
                    "stream {} is declared as {}, table {}",
                    newest.stream_no, newest.name, newest.table
                ),
            });
            return;
        }
        let sealed = self.slice.schemas();
        let mut passes: Vec<&Stream> =
            schemas.iter().filter(|one| sealed.contains(&(one.stream_no, one.schema_no))).collect();
        if passes.is_empty() {
            passes.push(newest);
        }
        let count = passes.len();
        for (pass, schema) in passes.into_iter().enumerate() {
            if let Some(rows) = rows::reader(schema) {
                self.read(&rows, pass + 1 == count);
            }
        }
        let pruned_months = pruned_months(&format!("{schema}.{table}"));
        let is_pruned = |month| pruned_months.iter().any(|(from, to)| (*from..*to).contains(&month));
        let (missing, pruned) = self.slice.missing(newest.stream_no, is_pruned);
        missing.into_iter().for_each(|finding| self.add(finding));
        for (month, rows) in pruned {
            let detail = format!("{:04}-{:02}", month / 12, month % 12 + 1);
            let rows = i64::try_from(rows).ok();
            self.others.push((
                "pruned".to_owned(),
                Some(newest.name.clone()),
                None,
                None,
                None,
                Some(detail),
                rows,
            ));
        }
    }

    fn read(&mut self, rows: &Rc<Rows>, reports_orphans: bool) {
        let stream_no = rows.schema.stream_no;
        let floor = self.floors.get(&stream_no).copied().unwrap_or(i64::MIN);
        let ceiling = self.ceilings.get(&stream_no).copied().unwrap_or(i64::MAX);
        for span in self.slice.spans(stream_no) {
            rows.read(span, |place, values| {
                let row = StoredRow { stream_no, position: place.position };
                match self.slice.schema_of(&row) {
                    Some(schema) if schema == rows.prepared.schema_no => {
                        self.compare(rows, &row, place, values)
                    }
                    Some(_) => {}
                    None => {
                        let is_own = (floor < row.position.1 && row.position.1 <= ceiling)
                            && self.slice.should_have(&row);
                        if reports_orphans && is_own {
                            self.add(Finding {
                                code: Code::Orphan,
                                row: Some((stream_no, row.position.1)),
                                leaf_index: None,
                                detail: format!("a row of transaction {} is in no seal", row.position.0),
                            });
                        }
                    }
                }
                true
            });
        }
    }

    fn compare(&mut self, rows: &Rows, row: &StoredRow, place: RowPlace, values: &Values) {
        let hash = self.maker.leaf(rows, place, values);
        let [since, until] = self.range;
        let is_in_range =
            since.is_none_or(|since| place.time >= since) && until.is_none_or(|until| place.time < until);
        self.checked += i64::from(is_in_range);
        match self.slice.compare(row, hash) {
            Some(finding) => self.add(finding),
            None => self.others.extend(redaction_of(values).map(|blob| {
                let leaf_index = self.slice.leaf_index(row).and_then(|leaf| i64::try_from(leaf).ok());
                (
                    "redacted".to_owned(),
                    Some(rows.schema.stream.clone()),
                    Some(row.position.1.to_string()),
                    leaf_index,
                    Some(erased(rows, &blob)),
                    None,
                    None,
                )
            })),
        }
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn verdicts(self, streams: &BTreeMap<u16, Vec<Stream>>) -> Vec<Verdict> {
        let name = |number: u16| streams.get(&number).and_then(|all| all.last()).map(|one| one.name.clone());
        let last_code = self.findings.last().map(|finding| finding.code);
        let mut verdicts: Vec<Verdict> = self
            .findings
            .into_iter()
            .map(|Finding { code, row, leaf_index, detail }| {
                let stream = row.map(|(number, _)| name(number).unwrap_or_else(|| number.to_string()));
                let id = row.filter(|_| code != Code::UnknownSchema).map(|(_, number)| number.to_string());
                let leaf_index = leaf_index.and_then(|leaf| i64::try_from(leaf).ok());
                (code.as_str().to_owned(), stream, id, leaf_index, None, Some(detail), None)
            })
            .collect();
        if let Some(code) = last_code.filter(|_| self.more > 0) {
            let detail = format!("and {} more findings", self.more);
            verdicts.push((code.as_str().to_owned(), None, None, None, None, Some(detail), None));
        }
        verdicts.extend(self.others);
        verdicts.push(("checked".to_owned(), None, None, None, None, None, Some(self.checked)));
        verdicts
    }
}

/// The result for seals that cannot be taken up.
fn not_seals(first: i64, last: i64) -> Vec<Verdict> {
    let detail = format!("seals {first} to {last} are not there, or do not belong together");
    vec![
        (Code::SealGap.as_str().to_owned(), None, None, None, None, Some(detail), None),
        ("checked".to_owned(), None, None, None, None, None, Some(0)),
    ]
}

/// The names of what was erased from a row, as a JSON array: columns, or `column.key`.
fn erased(rows: &Rows, blob: &[u8]) -> String {
    let entries = Redaction::parse(blob).map(|redaction| redaction.entries().to_vec()).unwrap_or_default();
    let names: Vec<String> = entries
        .iter()
        .filter(|entry| matches!(entry.state, State::Erased(_)))
        .map(|entry| {
            let column = rows.schema.fields.iter().find(|field| field.no == entry.field);
            let column = column.map_or("?", |field| field.name.as_str());
            if entry.key.is_empty() {
                column.to_owned()
            } else {
                format!("{column}.{}", String::from_utf8_lossy(&entry.key))
            }
        })
        .collect();
    serde_json::Value::from(names).to_string()
}

/// The months of a stream whose rows expired and were removed, each span with its first month and the first after it.
fn pruned_months(table: &str) -> Vec<(u32, u32)> {
    // What an event says may be no time at all.
    let month = |side: &str| {
        format!(
            "(SELECT extract(year FROM t.at) * 12 + extract(month FROM t.at) - 1 \
              FROM (SELECT audit._moment(e.detail ->> '{side}') AT TIME ZONE 'UTC') t(at) \
              WHERE isfinite(t.at))::bigint"
        )
    };
    let query = format!(
        "SELECT coalesce({}, 0), coalesce({}, 0) FROM audit.guard_events e \
         WHERE e.kind = 'partition_expired' AND e.object = $1",
        month("from"),
        month("to")
    );
    select(&query, &[Argument::Text(table)], |row| {
        let month = |column| u32::try_from(store::number(row, column)).unwrap_or(0);
        (month(1), month(2))
    })
}

/// The roots of subtrees that are kept for proofs, against the leaves.
fn compare_subtrees(subtrees: &[(u8, u64, Hash)], first_leaf: u64, findings: &mut Vec<Finding>) {
    let mut stored: BTreeMap<(u8, u64), Vec<u8>> = BTreeMap::new();
    for level in 1..=7_u8 {
        let mut own = subtrees.iter().filter(|(one, ..)| *one == level).map(|(_, index, _)| *index);
        let Some(first) = own.next() else { break };
        let last = own.next_back().unwrap_or(first);
        let rows = store::subtrees(level, first, last);
        stored.extend(rows.into_iter().map(|(index, hash)| ((level, index), hash)));
    }
    for (level, index, root) in subtrees {
        if stored.get(&(*level, *index)).is_none_or(|hash| hash != root) {
            findings.push(Finding {
                code: Code::TreeMismatch,
                row: None,
                leaf_index: Some(first_leaf),
                detail: format!("subtree {index} of level {level} is not as its leaves make it"),
            });
        }
    }
}

/// The rows of a seal with the leaf that each of them is.
///
/// Errors: 22023 when the list cannot be read.
#[pg_extern(sql = false, stable, parallel_safe)]
fn entries(
    seal_no: i64,
) -> TableIterator<
    'static,
    (name!(stream_no, i16), name!(transaction_id, i64), name!(number, i64), name!(leaf_index, i64)),
> {
    let seal = u64::try_from(seal_no).ok().and_then(|number| store::seals(number, number).pop());
    let Some((rows, seal)) = seal.and_then(|seal| Some((seal.rows().ok()?, seal))) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("the list of rows of seal {seal_no} cannot be read"),
            Some("SELECT * FROM audit.verify();"),
        )
    };
    TableIterator::new(rows.into_iter().enumerate().map(move |(position, row)| {
        let leaf = i64::try_from(seal.leaf_index(position)).unwrap_or(i64::MAX);
        (row.stream_no.cast_signed(), row.transaction_id, row.number, leaf)
    }))
}
