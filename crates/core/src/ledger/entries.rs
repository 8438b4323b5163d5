//! The list of a seal's rows: which row is which leaf.
//!
//! A version, then runs of rows of one stream, schema and month. Only differences are stored, so a row takes
//! two bytes or three.

use super::Malformed;
use super::reader::{Reader, push_varint};

const VERSION: u8 = 1;
const MONTHS_PER_YEAR: i64 = 12;
const US_PER_DAY: i64 = 86_400_000_000;

/// Where a row is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its stream.
    pub stream_no: u16,
    /// Its schema.
    pub schema_no: u32,
    /// The month of its time, see [`month_of`].
    pub month: u32,
    /// The transaction that wrote it.
    pub transaction_id: i64,
    /// Its number in the stream.
    pub number: i64,
}

impl Entry {
    /// By this, rows of a batch are ordered.
    #[must_use]
    pub const fn key(&self) -> (u16, i64, i64) {
        (self.stream_no, self.transaction_id, self.number)
    }
}

/// The month of a time: year * 12 + month - 1 in UTC, from microseconds since 1970. Years before the first
/// are month 0.
#[must_use]
pub fn month_of(time: i64) -> u32 {
    // Days since 1 March of the year 0, so that a leap day is the last day of its year.
    let days = time.div_euclid(US_PER_DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // 0 is March; January and February are counted to the year before.
    let month = (5 * day_of_year + 2) / 153;
    let months = (era * 400 + year_of_era) * MONTHS_PER_YEAR + month + 2;
    u32::try_from(months).unwrap_or(0)
}

/// Writes a list.
#[derive(Debug)]
pub struct EntriesWriter {
    out: Vec<u8>,
    last: Option<Entry>,
    rows: u32,
    /// Where the count of the open run stands, and the count.
    count_at: usize,
    count: u32,
}

impl Default for EntriesWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl EntriesWriter {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self { out: vec![VERSION], last: None, rows: 0, count_at: 0, count: 0 }
    }

    /// Appends a row.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it does not come after the row before, or its transaction has no number.
    pub fn push(&mut self, entry: Entry) -> Result<(), Malformed> {
        let last = check_order(self.last.as_ref(), &entry)?;
        let continues = self.last.is_some_and(|last| is_same_run(&last, &entry));
        if !continues {
            self.close_run();
            self.out.extend_from_slice(&entry.stream_no.to_be_bytes());
            self.out.extend_from_slice(&entry.schema_no.to_be_bytes());
            self.out.extend_from_slice(&entry.month.to_be_bytes());
            self.count_at = self.out.len();
            self.out.extend_from_slice(&[0; 4]);
        }
        let (transaction_id, number) = last;
        push_varint((entry.transaction_id - transaction_id).cast_unsigned(), &mut self.out);
        push_varint(zigzag(entry.number.wrapping_sub(number)), &mut self.out);
        self.count += 1;
        self.rows += 1;
        self.last = Some(entry);
        Ok(())
    }

    /// How many rows it has.
    #[must_use]
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// The list.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.close_run();
        self.out
    }

    fn close_run(&mut self) {
        if self.count > 0 {
            // The four bytes were written when the run was opened.
            self.out[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_be_bytes());
        }
        self.count = 0;
    }
}

/// Reads a list, one row at a time. After a defect it ends.
#[derive(Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    last: Option<Entry>,
    /// The stream, schema and month of the open run, and how many rows it still has.
    run: Entry,
    left: u32,
    is_broken: bool,
}

impl<'a> Entries<'a> {
    /// Begins to read.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is no list of version 1.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed("it is no list of version 1"));
        }
        let run = Entry { stream_no: 0, schema_no: 0, month: 0, transaction_id: 0, number: 0 };
        Ok(Self { reader, last: None, run, left: 0, is_broken: false })
    }

    fn read(&mut self) -> Result<Entry, Malformed> {
        let opens = self.left == 0;
        if opens {
            self.run.stream_no = self.reader.u16()?;
            self.run.schema_no = self.reader.u32()?;
            self.run.month = self.reader.u32()?;
            self.left = self.reader.u32()?;
            if self.left == 0 || self.last.is_some_and(|last| is_same_run(&last, &self.run)) {
                return Err(Malformed("a run is empty, or continues the one before"));
            }
        }
        let last = self.last.filter(|last| last.stream_no == self.run.stream_no);
        let (transaction_id, number) = last.map_or((0, 0), |last| (last.transaction_id, last.number));
        let delta = i64::try_from(self.reader.varint()?).ok();
        let entry = Entry {
            transaction_id: delta
                .and_then(|delta| transaction_id.checked_add(delta))
                .ok_or(Malformed("the number of a transaction is too large"))?,
            number: number.wrapping_add(unzigzag(self.reader.varint()?)),
            ..self.run
        };
        check_order(self.last.as_ref(), &entry)?;
        self.left -= 1;
        self.last = Some(entry);
        Ok(entry)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken || (self.left == 0 && self.reader.is_empty()) {
            return None;
        }
        let entry = self.read();
        self.is_broken = entry.is_err();
        Some(entry)
    }
}

fn is_same_run(a: &Entry, b: &Entry) -> bool {
    (a.stream_no, a.schema_no, a.month) == (b.stream_no, b.schema_no, b.month)
}

/// What differences are taken against: transaction and number of the last row of the same stream.
fn check_order(last: Option<&Entry>, entry: &Entry) -> Result<(i64, i64), Malformed> {
    if entry.transaction_id < 0 || last.is_some_and(|last| last.key() >= entry.key()) {
        return Err(Malformed("the rows are not in their order"));
    }
    let same_stream = last.filter(|last| last.stream_no == entry.stream_no);
    Ok(same_stream.map_or((0, 0), |last| (last.transaction_id, last.number)))
}

/// Small numbers of either sign become small numbers.
const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}
