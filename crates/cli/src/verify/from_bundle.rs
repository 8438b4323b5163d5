//! Rows from a bundle, leaves from its tiles.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use audit_guard_core::ledger::check::{Seal, StoredRow};
use audit_guard_core::ledger::hash::{Hash, leaf_hash};
use audit_guard_core::ledger::tile::TileKind;
use audit_guard_core::ledger::tree::Frontier;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::slice::{Columns, Months, SliceCheck, roots_at};
use super::tally::Tally;
use super::{Outcome, Subject};
use crate::Verify;
use crate::bundle::{Description, Line, unhex16};
use crate::failure::{Failure, Result};
use crate::leaf::{Cell, LeafMaker, RowHead};
use crate::progress::Progress;
use crate::report::{Finding, grouped};
use crate::tiles::TileReader;

/// No line is longer: a row of PostgreSQL has at most 1 GiB, and escapes may make more of it.
const LINE_LIMIT: usize = 7 << 30;

/// The values of a row in the order of its schema's fields.
struct Row<'a>(Vec<Option<Cow<'a, str>>>);

impl Columns for Row<'_> {
    fn cell(&self, place: Option<usize>) -> Cell<'_> {
        Cell::Portable(place.and_then(|place| self.0.get(place)).and_then(Option::as_deref))
    }
}

pub(super) fn check(folder: &Path, arguments: &Verify) -> Result<Outcome> {
    let description = Description::read(folder)?;
    let certificates = description.certificates.iter().filter_map(|excuse| {
        let object = excuse.object.as_deref()?;
        let stream = description.facts.streams.iter().find(|stream| stream.is_called(object))?;
        Months::of(stream.stream_no, &excuse.detail)
    });
    let months = certificates.collect();
    let mut subject = Subject::new(description.facts.clone(), None, months, arguments)?;
    let own_checkpoint = folder.join("checkpoint");
    let mut remarks = Vec::new();
    let mut tally = Tally::default();
    if own_checkpoint.exists() {
        // It travels with what it vouches for, so it vouches only for those whose key was given from outside.
        let note = crate::files::read(&own_checkpoint, 1 << 20)?;
        let keys = if arguments.key.is_empty() { &description.facts.keys } else { &arguments.key };
        match super::claims::of_note(&note, keys, "the bundle's checkpoint") {
            Some(claim) if claim.signer.is_some() && !arguments.key.is_empty() => subject.claims.push(claim),
            Some(claim) => subject.own_claim = Some(claim),
            None => tally.push(Finding::new("bad_signature", "the bundle's checkpoint is none")),
        }
    }
    let mut reading = Reading {
        subject: &subject,
        tiles: TileReader::new(folder),
        size: description.to_size,
        tree: Frontier::new(),
        before: None,
        maker: LeafMaker::default(),
        tally,
        progress: Progress::new(description.to_size, "leaves"),
        own_claim_holds: None,
    };
    let mut expected = 0;
    for file in &description.files {
        if file.first_leaf != expected {
            let detail = format!("{} does not begin at leaf {}", file.file, grouped(expected));
            reading.tally.push(Finding::new("seal_gap", detail));
        }
        expected = file.first_leaf.saturating_add(file.leaves);
        reading.file(&rows_file(folder, &file.file)?)?;
    }
    let root = STANDARD.encode(reading.tree.root());
    let Reading { mut tally, tree, own_claim_holds, .. } = reading;
    if root != description.root {
        tally
            .push(Finding::new("tree_mismatch", "the leaves do not make up the root that bundle.json names"));
    }
    match (&subject.own_claim, own_claim_holds) {
        (Some(claim), Some(true)) => match &claim.signer {
            Some(signer) => remarks.push(format!(
                "the bundle's own checkpoint agrees and is signed by {}, by its own word: give --key",
                crate::report::one_line(signer)
            )),
            None => {
                let detail = "the bundle's checkpoint is signed by none of the keys";
                tally.push(Finding::new("bad_signature", detail));
            }
        },
        (Some(_), _) => {
            tally.push(Finding::new("fork", "the bundle's own checkpoint has another root than its leaves"));
        }
        (None, _) => {}
    }
    let size = tree.size().max(description.to_size);
    tally.orphans.clear();
    Ok(Outcome { subject, tally, size, remarks })
}

/// The path of a file that a description names; it must not lead out of the bundle.
fn rows_file(folder: &Path, name: &str) -> Result<PathBuf> {
    let number = name.strip_prefix("rows/").and_then(|rest| rest.strip_suffix(".jsonl"));
    match number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        true => Ok(folder.join(name)),
        false => Err(Failure::usage("bundle.json names a file that is none of rows")),
    }
}

struct Reading<'a> {
    subject: &'a Subject,
    tiles: TileReader,
    size: u64,
    tree: Frontier,
    before: Option<Seal>,
    maker: LeafMaker,
    tally: Tally,
    progress: Progress,
    own_claim_holds: Option<bool>,
}

impl Reading<'_> {
    fn file(&mut self, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
        let mut lines = BufReader::with_capacity(1 << 20, file);
        let mut text = String::new();
        let mut place = 0_u64;
        let mut has_line = read_line(&mut lines, &mut text, path)?;
        // Each turn is one seal: its header, then its rows.
        while has_line {
            place += 1;
            let line: Line<'_> = parsed(&text, path, place)?;
            let Some(seal) = line.header.as_ref().and_then(|header| header.seal(line.leaf)) else {
                return Err(Failure::unchecked(format!(
                    "{}, line {place}: a seal is expected",
                    path.display()
                )));
            };
            let Some(seal) = self.with_leaves(seal)? else { return Ok(()) };
            let mut maker = std::mem::take(&mut self.maker);
            let subject = self.subject;
            let seals = std::slice::from_ref(&seal);
            let mut check =
                SliceCheck::begin(subject, &mut maker, self.before.as_ref(), seals, &mut self.tally);
            loop {
                has_line = read_line(&mut lines, &mut text, path)?;
                if !has_line {
                    break;
                }
                let line: Line<'_> = parsed(&text, path, place + 1)?;
                if line.header.is_some() {
                    break;
                }
                place += 1;
                if let Some(check) = &mut check {
                    row(subject, check, &line, &seal)?;
                }
            }
            if let Some(check) = check {
                let expected = check.subtrees.clone();
                let all: Vec<u16> =
                    check.slice.schemas().into_iter().map(|(stream_no, _)| stream_no).collect();
                let is_taken = |no: &u16| subject.selection.takes(*no, seal.oldest_at, seal.newest_at);
                let (rows, _) = check.finish(&all.into_iter().filter(is_taken).collect::<Vec<_>>());
                self.tally.add(rows);
                self.upper_tiles(&expected)?;
            }
            self.maker = maker;
            self.claims(&seal);
            self.progress.advance(u64::from(seal.leaves));
            self.tally.leaves += u64::from(seal.leaves);
            self.before = Some(seal);
        }
        Ok(())
    }

    /// Completes a seal with its leaves from the tiles, and the tree with them. None when they are not there.
    fn with_leaves(&mut self, mut seal: Seal) -> Result<Option<Seal>> {
        let mut hashes: Vec<Hash> = Vec::new();
        for place in seal.first_leaf..seal.size_after {
            let hash = self
                .tiles
                .place(TileKind::Hashes(0), place, self.size)?
                .and_then(|hash| hash.try_into().ok());
            let Some(hash) = hash else {
                let detail = format!("tile/0 has no leaf {}; what follows cannot be checked", grouped(place));
                self.tally.push(Finding { leaf_index: Some(place), ..Finding::new("seal_gap", detail) });
                return Ok(None);
            };
            if let Some([high, low, record @ ..]) = self.tiles.place(TileKind::Entries, place, self.size)?
                && (usize::from(u16::from_be_bytes([*high, *low])) != record.len()
                    || leaf_hash(record) != hash)
            {
                let detail = "the record in tile/entries is not that of the leaf";
                self.tally.push(Finding { leaf_index: Some(place), ..Finding::new("tree_mismatch", detail) });
            }
            hashes.push(hash);
        }
        self.tree.extend(&hashes, &mut |_, _, _| {});
        seal.leaf_hashes = hashes.into_flattened();
        seal.size_after = self.tree.size();
        seal.root_after = self.tree.root().to_vec();
        seal.frontier = self.tree.to_bytes();
        Ok(Some(seal))
    }

    /// Compares the tiles above the leaves.
    fn upper_tiles(&mut self, expected: &[(u8, u64, Hash)]) -> Result<()> {
        for (level, index, hash) in expected {
            let there = self.tiles.place(TileKind::Hashes(*level), *index, self.size)?;
            if there != Some(hash) {
                let detail =
                    format!("tile/{level} has another hash at {index} than its leaves make up, or none");
                self.tally.push(Finding::new("tree_mismatch", detail));
            }
        }
        Ok(())
    }

    /// Compares the roots that somebody vouches for.
    fn claims(&mut self, seal: &Seal) {
        let own = self.subject.own_claim.iter().map(|claim| (None, claim));
        let given = self.subject.claims.iter().enumerate().map(|(place, claim)| (Some(place), claim));
        let end = seal.first_leaf + u64::from(seal.leaves);
        let here: Vec<_> =
            given.chain(own).filter(|(_, claim)| claim.size > seal.first_leaf && claim.size <= end).collect();
        if here.is_empty() {
            return;
        }
        let sizes: Vec<u64> = here.iter().map(|(_, claim)| claim.size).collect();
        let roots = roots_at(self.before.as_ref(), std::slice::from_ref(seal), &sizes);
        for (place, claim) in here {
            let holds = roots.get(&claim.size) == Some(&claim.root);
            match place {
                Some(place) => drop(self.tally.claims.insert(place, holds)),
                None => self.own_claim_holds = Some(holds),
            }
        }
    }
}

/// One line of a seal.
fn row(subject: &Subject, check: &mut SliceCheck<'_>, line: &Line<'_>, seal: &Seal) -> Result<()> {
    // A row that is gone is found missing, and excused if its month was removed.
    if line.pruned {
        let at = line.leaf.checked_sub(seal.first_leaf).and_then(|at| usize::try_from(at).ok());
        let leaf = at.and_then(|at| seal.hashes().get(at));
        let said = line.hash.as_deref().and_then(|text| STANDARD.decode(text).ok());
        if leaf.is_none() || said.as_deref() != leaf.map(<[u8; 32]>::as_slice) {
            let detail = "the hash of the line is not that of its leaf";
            check
                .tally
                .push(Finding { leaf_index: Some(line.leaf), ..Finding::new("tree_mismatch", detail) });
        }
        return Ok(());
    }
    let stream = line.stream.as_deref();
    let stream = stream.and_then(|name| subject.facts.streams.iter().find(|stream| stream.name == name));
    let (Some(stream), Some(number), Some(transaction_id), Some(time), Some(values)) =
        (stream, line.number, line.transaction_id, line.time, &line.values)
    else {
        check.tally.push(Finding {
            leaf_index: Some(line.leaf),
            ..Finding::new("modified", "the line is no row of a known stream")
        });
        return Ok(());
    };
    if !subject.selection.takes(stream.stream_no, seal.oldest_at, seal.newest_at) {
        return Ok(());
    }
    let stored = StoredRow { stream_no: stream.stream_no, position: (transaction_id, number) };
    let known = check.slice.schema_of(&stored).map(|schema_no| subject.schemas.get(&schema_no));
    if known.is_none() || check.slice.leaf_index(&stored) != Some(line.leaf) {
        check.tally.push(Finding {
            stream: Some(stream.name.clone()),
            id: Some(number.to_string()),
            leaf_index: Some(line.leaf),
            ..Finding::new("orphan", "the row is not that of its leaf")
        });
        return Ok(());
    }
    let mut cells = Row(Vec::new());
    if let Some(known) = known.flatten() {
        let fields = &known.schema.fields;
        let names = values.0.iter().map(|(name, _)| name.as_ref());
        if !names.eq(fields.iter().map(|field| field.name.as_str())) {
            let finding = check.slice.compare(&stored, None);
            check.tally.take(&subject.facts, finding.into_iter().collect());
            return Ok(());
        }
        cells.0.extend(values.0.iter().map(|(_, value)| value.as_deref().map(Cow::Borrowed)));
    }
    let salt = line.salt.as_deref().map(|text| unhex16(text).unwrap_or_default());
    let redaction = line.redaction.as_deref().map(|text| STANDARD.decode(text).unwrap_or_default());
    let head = RowHead {
        stream_no: stream.stream_no,
        transaction_id,
        number,
        time,
        salt: salt.as_ref().map(<[u8; 16]>::as_slice),
        redaction: redaction.as_deref(),
    };
    check.row(&head, &cells);
    Ok(())
}

fn read_line(lines: &mut BufReader<File>, text: &mut String, path: &Path) -> Result<bool> {
    text.clear();
    let read = std::io::Read::take(lines, LINE_LIMIT as u64).read_line(text);
    Ok(read.map_err(|error| Failure::file(path, &error))? > 0)
}

fn parsed<'a>(text: &'a str, path: &Path, place: u64) -> Result<Line<'a>> {
    serde_json::from_str(text).map_err(|error| {
        Failure::unchecked(format!("{}, line {place}: {}", path.display(), error.classify_text()))
    })
}

/// What is wrong with a line, without repeating what is in it.
trait Classified {
    fn classify_text(&self) -> String;
}

impl Classified for serde_json::Error {
    fn classify_text(&self) -> String {
        format!("it is not JSON of the expected form, at column {}", self.column())
    }
}
