//! The times of failures as bytes.
//!
//! A head of seven bytes, the highest first: four bits say which form it is, 52 bits are the oldest time.
//! Then, for each later entry, its distance from the one before it in groups of seven bits, the lowest first,
//! the highest bit of a byte meaning that another follows. In the tagged form each entry ends with two bytes,
//! the highest first, that stand for an account.

use super::{DAY, MINUTE};

/// How many entries are kept without tags.
pub const PLAIN_LIMIT: usize = 100;
/// How many entries are kept with tags.
pub const TAGGED_LIMIT: usize = 200;

const HEAD: usize = 7;
const TIME_BITS: u32 = 52;
/// The first time that cannot be kept, in the year 2142.
const TIME_END: i64 = 1 << TIME_BITS;
const PLAIN: u64 = 1;
const TAGGED: u64 = 2;

/// One failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// When it was.
    pub at: i64,
    /// Which account it was, see [`super::account_tag`]; 0 when nobody says.
    pub tag: u16,
}

/// The failures that are kept under one key, the oldest first. The same time can be there more than once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failures {
    entries: Vec<Entry>,
    is_tagged: bool,
}

impl Failures {
    /// Reads what [`Self::write`] wrote. Anything else counts as no failures: it must not keep anybody from
    /// logging in for ever.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        Self::parse(bytes).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_first_chunk::<HEAD>()?;
        let head = head.iter().fold(0, |head, byte| head << 8 | u64::from(*byte));
        let is_tagged = match head >> TIME_BITS {
            PLAIN => false,
            TAGGED => true,
            _ => return None,
        };
        let mut at = head.cast_signed() & (TIME_END - 1);
        // A distance takes a byte at least, and most take four.
        let mut entries = Vec::with_capacity(1 + rest.len() / 4);
        loop {
            let tag = if is_tagged { take_tag(&mut rest)? } else { 0 };
            entries.push(Entry { at, tag });
            if rest.is_empty() {
                return Some(Self { entries, is_tagged });
            }
            at += take_distance(&mut rest)?;
            if at >= TIME_END {
                return None;
            }
        }
    }

    /// The failures as bytes; None when there are none.
    #[must_use]
    pub fn write(&self) -> Option<Vec<u8>> {
        let first = self.entries.first()?;
        let form = if self.is_tagged { TAGGED } else { PLAIN };
        let head = form << TIME_BITS | first.at.unsigned_abs();
        let mut bytes = Vec::with_capacity(HEAD + self.entries.len() * 8);
        bytes.extend(head.to_be_bytes().into_iter().skip(1));
        let mut before = first.at;
        for (position, entry) in self.entries.iter().enumerate() {
            if position > 0 {
                push_distance(&mut bytes, (entry.at - before).unsigned_abs());
            }
            if self.is_tagged {
                bytes.extend(entry.tag.to_be_bytes());
            }
            before = entry.at;
        }
        Some(bytes)
    }

    /// Failures in any order; of too many the latest are kept. They are tagged when one of them has a tag.
    pub fn collect(all: impl IntoIterator<Item = (i64, Option<u16>)>) -> Self {
        let mut is_tagged = false;
        let mut entries: Vec<Entry> = all
            .into_iter()
            .filter(|(at, _)| (0..TIME_END).contains(at))
            .map(|(at, tag)| {
                is_tagged |= tag.is_some();
                Entry { at, tag: tag.unwrap_or(0) }
            })
            .collect();
        entries.sort_unstable();
        let mut failures = Self { entries, is_tagged };
        let surplus = failures.entries.len().saturating_sub(failures.limit());
        failures.entries.drain(..surplus);
        failures
    }

    /// Adds a failure, in its place. A time that cannot be kept (infinite, or not between 2000 and 2142) adds
    /// none.
    ///
    /// What is more than a day older than it goes: no window reaches so far. When there are too many, the
    /// oldest one goes; but when the latest lies more than a minute ahead of the added one, the clock was set
    /// back, and the latest goes: it does not count before the clock gets there, and the added one counts
    /// now.
    pub fn add(&mut self, at: i64, tag: Option<u16>) {
        if !(0..TIME_END).contains(&at) {
            return;
        }
        self.is_tagged |= tag.is_some();
        let entry = Entry { at, tag: tag.unwrap_or(0) };
        let place = self.entries.partition_point(|known| *known <= entry);
        self.entries.insert(place, entry);
        let old = self.entries.partition_point(|known| known.at < at - DAY);
        self.entries.drain(..old);
        while self.entries.len() > self.limit() {
            if self.newest().is_some_and(|newest| newest > at + MINUTE) {
                self.entries.pop();
            } else {
                self.entries.remove(0);
            }
        }
    }

    /// Takes one failure of exactly this time back, and of this tag unless it is None.
    pub fn remove(&mut self, at: i64, tag: Option<u16>) {
        let is_it = |known: &Entry| known.at == at && tag.is_none_or(|tag| tag == known.tag);
        if let Some(place) = self.entries.iter().rposition(is_it) {
            self.entries.remove(place);
        }
    }

    /// The failures, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The time of the latest failure.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.entries.last().map(|entry| entry.at)
    }

    /// Whether one more failure would push another out.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit()
    }

    fn limit(&self) -> usize {
        if self.is_tagged { TAGGED_LIMIT } else { PLAIN_LIMIT }
    }
}

fn take_tag(rest: &mut &[u8]) -> Option<u16> {
    let (tag, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_be_bytes(*tag))
}

/// None for what is not the shortest form of a number below 2^56.
fn take_distance(rest: &mut &[u8]) -> Option<i64> {
    let mut distance = 0;
    for shift in (0..56).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        distance |= i64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return (byte != 0 || shift == 0).then_some(distance);
        }
    }
    None
}

fn push_distance(bytes: &mut Vec<u8>, mut distance: u64) {
    while distance > 0x7F {
        bytes.push(distance as u8 | 0x80);
        distance >>= 7;
    }
    bytes.push(distance as u8);
}
