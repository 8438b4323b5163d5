//! Refused attempts on their way to a table that the process which refused cannot write, because its own
//! transaction is about to be rolled back.
//!
//! A [`Ring`] has a fixed number of places in memory that belongs to the caller, who also keeps others away
//! while it is used. When all places are taken, each database keeps its latest attempt in a place of its own,
//! which counts those that it displaced: so nothing is lost that is not counted, and the count never waits
//! for another attempt.

mod entry;

pub use entry::{Attempt, Entry};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a ring knows of itself. All zero is the state before [`Ring::clear`].
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Header {
    next_sequence: u64,
    /// Attempts that found no place at all; the next one that finds a place takes them into its count.
    unplaced: u64,
    free_places: u64,
}

/// The places, as they lie in the caller's memory.
pub struct Ring<'a> {
    /// Facts about the whole ring.
    pub header: &'a mut Header,
    /// Numbers of free places, as many as the header says; as long as `entries`.
    pub free: &'a mut [u32],
    /// Attempts that wait.
    pub entries: &'a mut [Entry],
    /// The latest attempt of each database that found no place in `entries`.
    pub latest: &'a mut [Entry],
}

/// An attempt that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Where it stands among all attempts.
    pub sequence: u64,
    /// How many attempts before it, and after the one before it, are known by number only.
    pub lost_before: u64,
    /// The transaction that writes it, when one has begun to.
    pub written_by: Option<u64>,
    /// What was attempted.
    pub attempt: Attempt,
}

impl Ring<'_> {
    /// Makes all places free.
    pub fn clear(&mut self) {
        *self.header = Header { next_sequence: 1, ..Header::default() };
        self.entries.iter_mut().chain(self.latest.iter_mut()).for_each(Entry::clear);
        for place in (0..self.entries.len() as u32).rev() {
            self.set_free(place);
        }
    }

    /// Takes an attempt in.
    pub fn push(&mut self, mut entry: Entry) {
        entry.sequence = self.header.next_sequence;
        self.header.next_sequence += 1;
        self.place(entry);
    }

    /// Finds a place for an entry that has its number.
    fn place(&mut self, mut entry: Entry) {
        // As long as a place is free, no attempt waits for one, save those that are being written.
        if let Some(place) = self.take_free() {
            entry.lost_before += std::mem::take(&mut self.header.unplaced);
            self.entries[place].put(&entry);
            return;
        }
        let same = |o: &Entry| o.is_used() && o.database == entry.database && o.written_by == 0;
        if let Some(before) = self.latest.iter_mut().find(|other| same(other)) {
            entry.lost_before += before.lost_before + 1;
            before.put(&entry);
        } else if let Some(place) = self.latest.iter_mut().find(|other| !other.is_used()) {
            entry.lost_before += std::mem::take(&mut self.header.unplaced);
            place.put(&entry);
        } else {
            self.header.unplaced += entry.lost_before + 1;
        }
    }

    /// The databases that have attempts waiting, with the number of the oldest of each.
    pub fn databases(&self) -> BTreeMap<u32, u64> {
        let mut oldest = BTreeMap::new();
        for entry in self.entries.iter().chain(self.latest.iter()).filter(|entry| entry.is_used()) {
            let first = oldest.entry(entry.database).or_insert(entry.sequence);
            *first = entry.sequence.min(*first);
        }
        oldest
    }

    /// The oldest attempts of a database, at most `limit`, in their order, each with its place. They stay
    /// where they are until they are released.
    pub fn pending(&mut self, database: u32, limit: usize) -> Vec<(u32, Waiting)> {
        let all = (0..).zip(self.entries.iter().chain(self.latest.iter()));
        let its = all.filter(|(_, entry)| entry.is_used() && entry.database == database);
        let mut places: Vec<(u64, u32)> = its.map(|(place, entry)| (entry.sequence, place)).collect();
        places.sort_unstable();
        places.truncate(limit);
        for (_, place) in places.iter().rev() {
            let unplaced = self.header.unplaced;
            let entry = self.at(*place);
            if entry.written_by == 0 {
                // From now on it is not displaced, not moved, and its count is final.
                entry.written_by = entry::TAKEN;
                entry.lost_before += unplaced;
                self.header.unplaced = 0;
            }
        }
        places.into_iter().map(|(_, place)| (place, self.at(place).waiting())).collect()
    }

    /// Notes which transaction writes these attempts.
    pub fn mark(&mut self, places: &[u32], transaction: u64) {
        for &place in places {
            self.at(place).written_by = transaction;
        }
    }

    /// Makes places free whose attempts have been written, and moves up what waits for a place.
    pub fn release(&mut self, places: &[u32]) {
        for &place in places {
            if self.at(place).is_used() {
                self.at(place).clear();
                if (place as usize) < self.entries.len() {
                    self.set_free(place);
                }
            }
        }
        while self.header.free_places > 0 {
            let can_move = |entry: &&mut Entry| entry.is_used() && entry.written_by == 0;
            let first = self.latest.iter_mut().filter(can_move).min_by_key(|entry| entry.sequence);
            let Some(first) = first else { break };
            let entry = *first;
            first.clear();
            self.place(entry);
        }
    }

    /// The entry of a place; those of `latest` come after the others.
    fn at(&mut self, place: u32) -> &mut Entry {
        let place = place as usize;
        match place.checked_sub(self.entries.len()) {
            None => &mut self.entries[place],
            Some(place) => &mut self.latest[place],
        }
    }

    /// Gives up the attempts of a database; returns how many there were, lost ones included.
    pub fn give_up(&mut self, database: u32) -> u64 {
        let its = self.pending(database, usize::MAX);
        let places: Vec<u32> = its.iter().map(|(place, _)| *place).collect();
        self.release(&places);
        its.iter().map(|(_, waiting)| waiting.lost_before + 1).sum()
    }

    /// Everything that waits, oldest first. Reads what it finds without trusting it, so it may be asked after
    /// a process died in the middle of a change.
    pub fn all(&self) -> Vec<Waiting> {
        let entries = self.entries.iter().chain(self.latest.iter()).filter(|entry| entry.is_used());
        let mut all: Vec<Waiting> = entries.map(Entry::waiting).collect();
        all.sort_by_key(|waiting| waiting.sequence);
        // One that was on its way up from `latest` may stand in both.
        all.dedup_by_key(|waiting| waiting.sequence);
        if let Some(last) = all.last_mut() {
            last.lost_before += self.header.unplaced;
        }
        all
    }

    /// Takes in, after [`Ring::clear`], what [`Ring::all`] returned; there may be fewer places now.
    pub fn refill(&mut self, all: &[Waiting]) {
        for waiting in all {
            self.header.next_sequence = self.header.next_sequence.max(waiting.sequence.saturating_add(1));
            self.place(Entry::of(waiting));
        }
    }

    fn take_free(&mut self) -> Option<usize> {
        let count = self.header.free_places.checked_sub(1)?;
        self.header.free_places = count;
        self.free.get(count as usize).map(|place| *place as usize)
    }

    fn set_free(&mut self, place: u32) {
        self.free[self.header.free_places as usize] = place;
        self.header.free_places += 1;
    }
}
