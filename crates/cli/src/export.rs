//! A ledger into a folder that can be checked without its database.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit_guard_core::ledger::check::{Seal, Slice, StoredRow};
use audit_guard_core::ledger::record::RECORD_BYTES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postgres::error::SqlState;

use crate::bundle::{Description, Excuse, Header, Line, RowsFile, Values, hex};
use crate::connect::{self, Settings};
use crate::copy::RawRow;
use crate::database::{self, Database};
use crate::facts::{Facts, KnownSchema, Stream};
use crate::failure::{Exit, Failure, Result};
use crate::files;
use crate::leaf::{LeafMaker, RowHead};
use crate::plan::{Planner, Task};
use crate::progress::Progress;
use crate::report::grouped;
use crate::tiles::TileWriter;

/// How many leaves one file of rows has, but for a single seal that has more.
const FILE_LEAVES: i64 = 131_072;

/// How long an export waits for the sealer.
const SETTLING: Duration = Duration::from_secs(10);

pub(crate) fn run(dsn: &str, folder: &Path) -> Result<Exit> {
    let settings = Settings::parse(dsn)?;
    let (mut database, facts) = settled(&settings)?;
    let mut description = begin(folder)?;
    let lock_path = folder.join("lock");
    let lock = File::create(&lock_path).map_err(|error| Failure::file(&lock_path, &error))?;
    if lock.try_lock().is_err() {
        return Err(Failure::usage(format!("{}: another export works here", folder.display())));
    }
    description.facts = facts;
    description.origins = description.facts.incarnations.iter().map(|known| known.origin.clone()).collect();
    description.certificates = excuses(&mut database, "partition_expired")?;
    description.redactions = excuses(&mut database, "redacted")?;
    let (size, _) = database.size()?;
    let after = description.files.last().map_or(0, |file| file.last_seal.cast_signed());
    let before =
        if after > 0 { database.seals(after, after)?.and_then(|mut seals| seals.pop()) } else { None };
    continues(&description, before.as_ref(), size)?;
    let mut exporter = Exporter {
        schemas: description.facts.known_schemas(Some(&database.columns)),
        tiles: TileWriter::open(folder, description.to_size)?,
        folder: folder.to_owned(),
        description,
        before,
        maker: LeafMaker::default(),
        rows: 0,
        gone: 0,
        mismatches: 0,
    };
    let first_size = exporter.tiles.size();
    let progress = Progress::new(size - first_size.min(size), "leaves");
    let mut planner = Planner::new(after, FILE_LEAVES);
    while let Some(task) = planner.next(&mut database)? {
        exporter.file(&mut database, &task)?;
        progress.advance(task.leaves);
    }
    drop(progress);
    exporter.description.write(folder)?;
    let checkpoint = exporter.checkpoint(&mut database)?;
    drop(database);
    exporter.tell(first_size, checkpoint);
    if exporter.tiles.size() > first_size {
        record(&settings, &exporter.description, folder)?;
    }
    Ok(if exporter.mismatches > 0 { Exit::Tampered } else { Exit::Intact })
}

/// The database at a moment when the events about everything that was erased or removed are sealed: without
/// them the bundle would not verify. The sealer of a preloaded library needs a moment for that.
fn settled(settings: &Settings) -> Result<(Database, Facts)> {
    let end = Instant::now() + SETTLING;
    loop {
        let mut database = Database::open(settings, None)?;
        let facts = database.facts()?;
        let last = database.last_seal()?;
        let waiting = database.unsealed_excuses(&facts, last.as_ref())?.len() as u64;
        if waiting == 0 {
            return Ok((database, facts));
        }
        if Instant::now() > end {
            return Err(Failure::unchecked(format!(
                "{} events about erased or removed rows are not sealed, so a bundle would not verify\n\
                 HINT:  SELECT audit.seal();",
                grouped(waiting)
            )));
        }
        drop(database);
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The description that is there, or that of a new bundle.
fn begin(folder: &Path) -> Result<Description> {
    if Description::path(folder).exists() {
        return Description::read(folder);
    }
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    let has_begun = folder.join("rows").exists();
    if !is_empty && !has_begun {
        return Err(Failure::usage(format!("{}: there is something else in it", folder.display())));
    }
    files::make_folder(&folder.join("rows"))?;
    Ok(Description::new())
}

/// Whether the ledger still has what the bundle has.
fn continues(description: &Description, before: Option<&Seal>, size: u64) -> Result<()> {
    if description.to_size == 0 {
        return Ok(());
    }
    let root = before.map(|seal| STANDARD.encode(&seal.root_after));
    let is_same =
        before.is_some_and(|seal| seal.size_after == description.to_size) && size >= description.to_size;
    match is_same && root.as_deref() == Some(description.root.as_str()) {
        true => Ok(()),
        false => Err(Failure::tampered(format!(
            "the ledger does not continue this bundle: its first {} leaves are others now, or fewer",
            grouped(description.to_size)
        ))),
    }
}

fn excuses(database: &mut Database, kind: &str) -> Result<Vec<Excuse>> {
    let mut excuses = Vec::new();
    let query = format!(
        "SELECT id, object, detail::text FROM audit.guard_events WHERE kind = {} ORDER BY id",
        database::literal(kind)
    );
    database.rows(&query, |row| {
        let text = |place| row.field(place).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        excuses.push(Excuse {
            id: row.bigint(0).unwrap_or(0),
            object: text(1),
            detail: text(2).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        });
        Ok(())
    })?;
    Ok(excuses)
}

/// Gives the note of the export to the database, if the role may.
fn record(settings: &Settings, description: &Description, folder: &Path) -> Result<()> {
    let destination =
        std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string();
    let root = STANDARD.decode(&description.root).unwrap_or_default();
    let (from, to) = (description.from_size.cast_signed(), description.to_size.cast_signed());
    let mut client = connect::connect(settings)?;
    let noted =
        client.execute("SELECT audit.record_export($1, $2, $3, $4)", &[&from, &to, &root, &destination]);
    match noted {
        Ok(_) => Ok(()),
        Err(error)
            if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
                || error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) =>
        {
            eprintln!(
                "audit-guard: the export is not noted in the database: {}\n\
                 HINT:  as a member of audit_admin: SELECT audit.record_export({from}, {to}, '\\x{}', {});",
                Failure::from(error),
                hex(&root),
                database::literal(&destination)
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

struct Exporter {
    folder: PathBuf,
    description: Description,
    schemas: BTreeMap<u32, KnownSchema>,
    tiles: TileWriter,
    before: Option<Seal>,
    maker: LeafMaker,
    rows: u64,
    gone: u64,
    mismatches: u64,
}

impl Exporter {
    /// Some seals into a file of rows and the tiles.
    fn file(&mut self, database: &mut Database, task: &Task) -> Result<()> {
        let cannot =
            |what: &str| Failure::unchecked(format!("seals {} to {}: {what}", task.first, task.last));
        let seals = database
            .seals(task.first, task.last)?
            .ok_or_else(|| cannot("one of them holds what no seal can"))?;
        let mut findings = Vec::new();
        let mut slice = Slice::new(self.before.as_ref(), &seals, &mut findings, &mut |_, _, _| {})
            .map_err(|defect| cannot(defect.0))?;
        if let Some(finding) = findings.first() {
            // What does not fit together cannot be put into tiles.
            return Err(Failure::tampered(format!("{}: {}", finding.code.as_str(), finding.detail)));
        }
        let mut spool = Spool::new(&self.folder)?;
        let first_leaf = seals.first().map_or(0, |seal| seal.first_leaf);
        let mut records: BTreeMap<u64, [u8; RECORD_BYTES]> = BTreeMap::new();
        let streams: Vec<Stream> = self.description.facts.streams.clone();
        for stream in &streams {
            let spans = slice.spans(stream.stream_no);
            database.stream_rows(stream, &spans, true, |head, row| {
                let stored =
                    StoredRow { stream_no: head.stream_no, position: (head.transaction_id, head.number) };
                let (Some(leaf), Some(schema_no)) = (slice.leaf_index(&stored), slice.schema_of(&stored))
                else {
                    return Ok(());
                };
                let Some(known) = self.schemas.get(&schema_no) else { return Ok(()) };
                spool.write(leaf, &line(leaf, stream, known, head, row))?;
                let place = |at: usize| known.places.get(at).copied().flatten();
                let hash = self.maker.leaf(known, head, |at| database::cell(row, place(at)));
                match slice.compare(&stored, hash) {
                    None => records.insert(leaf, *self.maker.record()),
                    Some(_) => {
                        self.mismatches += 1;
                        None
                    }
                };
                self.rows += 1;
                Ok(())
            })?;
        }
        let number = self.description.files.len() + 1;
        let name = format!("rows/{number:06}.jsonl");
        self.gone += spool.finish(&self.folder.join(&name), &seals)?;
        for seal in &seals {
            for (leaf, hash) in (seal.first_leaf..).zip(seal.hashes()) {
                let header = (leaf == seal.first_leaf).then(|| seal.header().record());
                self.tiles.push(*hash, header.as_ref().or_else(|| records.get(&leaf)))?;
            }
        }
        // The tiles first: the description says what is complete.
        self.tiles.write_open()?;
        files::sync_all(&self.folder)?;
        let Some(last) = seals.last() else { return Ok(()) };
        self.description.to_size = self.tiles.size();
        self.description.root = STANDARD.encode(&last.root_after);
        self.description.files.push(RowsFile {
            file: name,
            first_leaf,
            leaves: self.tiles.size() - first_leaf,
            last_seal: last.seal_no,
        });
        self.description.write(&self.folder)?;
        self.before = seals.into_iter().next_back();
        Ok(())
    }

    /// The newest signed checkpoint that the bundle covers, with the tiles of its size. Returns its size.
    fn checkpoint(&self, database: &mut Database) -> Result<Option<u64>> {
        let query = format!(
            "SELECT size, note FROM audit.checkpoints WHERE size <= {} ORDER BY size DESC, id DESC LIMIT 1",
            self.description.to_size
        );
        let mut newest = None;
        database.rows(&query, |row| {
            let size = row.bigint(0).and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            newest = Some((size, row.field(1).unwrap_or_default().to_vec()));
            Ok(())
        })?;
        let Some((size, note)) = newest else { return Ok(None) };
        self.tiles.write_for(size)?;
        files::sync_all(&self.folder)?;
        files::replace(&self.folder.join("checkpoint"), &note)?;
        Ok(Some(size))
    }

    fn tell(&self, first_size: u64, checkpoint: Option<u64>) {
        let size = self.description.to_size;
        println!(
            "{}: leaves {}..{}, {} rows{}",
            self.folder.display(),
            grouped(first_size),
            grouped(size),
            grouped(self.rows),
            if self.gone > 0 { format!(", {} are gone", grouped(self.gone)) } else { String::new() }
        );
        match checkpoint {
            Some(signed) if signed == size => println!("its checkpoint is signed for all of them"),
            Some(signed) => println!("its checkpoint is signed for the first {}", grouped(signed)),
            None => println!("no checkpoint is signed yet: run audit-guard witness, then export again"),
        }
        if self.mismatches > 0 {
            eprintln!(
                "audit-guard: {} rows do not match their leaves: audit-guard verify --bundle {} names them",
                grouped(self.mismatches),
                self.folder.display()
            );
        }
    }
}

/// The line of a row.
fn line<'a>(
    leaf: u64,
    stream: &'a Stream,
    known: &'a KnownSchema,
    head: &RowHead<'_>,
    row: &RawRow<'_>,
) -> Line<'a> {
    let places = known.schema.fields.iter().zip(&known.places);
    let values = places.map(|(field, place)| {
        // What is of another type than it was cannot be written as what it was; it will not match either way.
        let value = database::cell(row, *place).value(field.kind).and_then(|value| value.portable());
        (Cow::Borrowed(field.name.as_str()), value.map(Cow::Owned))
    });
    Line {
        stream: Some(Cow::Borrowed(&stream.name)),
        number: Some(head.number),
        transaction_id: Some(head.transaction_id),
        time: Some(head.time),
        salt: head.salt.map(|salt| Cow::Owned(hex(salt))),
        redaction: head.redaction.map(|blob| Cow::Owned(STANDARD.encode(blob))),
        values: Some(Values(values.collect())),
        ..Line::at(leaf)
    }
}

/// Lines on disk in the order in which they come, until they can be put in the order of leaves: rows of any
/// size need no memory.
struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    /// Where the line of a leaf is, and how long.
    places: BTreeMap<u64, (u64, u64)>,
    end: u64,
}

impl Spool {
    fn new(folder: &Path) -> Result<Self> {
        let path = folder.join("rows/.spool");
        let options = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = options.map_err(|error| Failure::file(&path, &error))?;
        Ok(Self { path, file: BufWriter::with_capacity(1 << 20, file), places: BTreeMap::new(), end: 0 })
    }

    fn write(&mut self, leaf: u64, line: &Line<'_>) -> Result<()> {
        let mut text = serde_json::to_vec(line).map_err(|error| Failure::usage(error.to_string()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(|error| Failure::file(&self.path, &error))?;
        self.places.insert(leaf, (self.end, text.len() as u64));
        self.end += text.len() as u64;
        Ok(())
    }

    /// Writes all lines of these seals to `path`, in order. Returns how many rows are gone.
    fn finish(self, path: &Path, seals: &[Seal]) -> Result<u64> {
        let Self { path: own, file, places, .. } = self;
        let own_error = |error: &std::io::Error| Failure::file(&own, error);
        let file = file.into_inner().map_err(|error| own_error(error.error()))?;
        let mut lines = BufReader::with_capacity(1 << 20, file);
        lines.seek(SeekFrom::Start(0)).map_err(|error| own_error(&error))?;
        let mut at = 0;
        let mut gone = 0;
        let new = path.with_extension("jsonl.new");
        let mut text = Vec::new();
        let mut write = |lines: &mut BufReader<File>| -> std::io::Result<()> {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(&new)?);
            for seal in seals {
                let header = Line { header: Some(Header::of(seal)), ..Line::at(seal.first_leaf) };
                serde_json::to_writer(&mut out, &header)?;
                out.write_all(b"\n")?;
                for (leaf, hash) in (seal.first_leaf..).zip(seal.hashes()).skip(1) {
                    if let Some((from, length)) = places.get(&leaf) {
                        lines.seek_relative(from.cast_signed() - at)?;
                        text.resize(*length as usize, 0);
                        lines.read_exact(&mut text)?;
                        at = (from + length).cast_signed();
                        out.write_all(&text)?;
                    } else {
                        gone += 1;
                        let hash = Some(Cow::Owned(STANDARD.encode(hash)));
                        serde_json::to_writer(&mut out, &Line { hash, pruned: true, ..Line::at(leaf) })?;
                        out.write_all(b"\n")?;
                    }
                }
            }
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            std::fs::rename(&new, path)
        };
        write(&mut lines).map_err(|error| Failure::file(path, &error))?;
        std::fs::remove_file(&own).map_err(|error| own_error(&error))?;
        Ok(gone)
    }
}
