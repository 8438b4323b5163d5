//! Failures as the documentation describes them, without any cleverness.

use audit_guard_core::throttle::{DAY, Entry, MINUTE, PLAIN_LIMIT, TAGGED_LIMIT};

#[derive(Default, Debug, Clone)]
pub(crate) struct Model {
    pub(crate) kept: Vec<Entry>,
    is_tagged: bool,
}

impl Model {
    pub(crate) fn limit(&self) -> usize {
        if self.is_tagged { TAGGED_LIMIT } else { PLAIN_LIMIT }
    }

    pub(crate) fn add(&mut self, at: i64, tag: Option<u16>) {
        if !(0..1 << 52).contains(&at) {
            return;
        }
        self.is_tagged |= tag.is_some();
        self.kept.push(Entry { at, tag: tag.unwrap_or(0) });
        self.kept.sort();
        self.kept.retain(|entry| at - entry.at <= DAY);
        while self.kept.len() > self.limit() {
            let newest = self.kept.len() - 1;
            let goes = if self.kept[newest].at - at > MINUTE { newest } else { 0 };
            self.kept.remove(goes);
        }
    }

    pub(crate) fn remove(&mut self, at: i64, tag: Option<u16>) {
        let mut is_it: Vec<_> = (0..self.kept.len())
            .filter(|&place| self.kept[place].at == at && tag.is_none_or(|tag| self.kept[place].tag == tag))
            .collect();
        if let Some(place) = is_it.pop() {
            self.kept.remove(place);
        }
        if self.kept.is_empty() {
            self.is_tagged = false;
        }
    }

    /// What counts at a moment.
    pub(crate) fn counted(&self, reset: Option<i64>, at: i64, window: i64) -> Vec<Entry> {
        let lies_in = |entry: &&Entry| {
            entry.at + window > at
                && entry.at <= at + window
                && reset.is_none_or(|reset| reset > at || entry.at > reset)
        };
        self.kept.iter().filter(lies_in).copied().collect()
    }

    /// Since when it is blocked: goes back from one moment at which something changes to the one before.
    pub(crate) fn block_began(&self, reset: Option<i64>, at: i64, max: usize, window: i64) -> Option<i64> {
        let times: Vec<i64> = self
            .kept
            .iter()
            .filter(|entry| {
                entry.at <= at + window && reset.is_none_or(|reset| reset > at || entry.at > reset)
            })
            .map(|entry| entry.at.min(at))
            .collect();
        let is_blocked =
            |now: i64| times.iter().filter(|&&time| time <= now && time + window > now).count() >= max;
        let mut changes: Vec<i64> =
            times.iter().flat_map(|&time| [time, time + window]).filter(|&time| time <= at).collect();
        changes.sort_unstable();
        let began = changes.iter().rev().copied().take_while(|&change| is_blocked(change)).last();
        let began = began.filter(|_| is_blocked(at))?;
        let is_flood = self.kept.len() == self.limit() && times.len() == self.kept.len();
        // Nothing is known about the time before the first failures that are kept, unless one of them had left the
        // window when the number became full.
        let is_first = times.get(max - 1).is_some_and(|&full| full == began && times[0] + window >= began);
        Some(if is_flood && is_first { times[0] - window } else { began })
    }
}
