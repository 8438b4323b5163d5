//! How many failures lie in a window, and what follows from it.

use super::{DAY, Entry, Failures, MINUTE};

/// The most failures within a day, whatever the rule says (NIST SP 800-63B allows a hundred in a row).
pub const DAILY_LIMIT: usize = 100;

const SECOND: i64 = 1_000_000;

/// When somebody looks, and what they no longer hold against a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time by the clock.
    pub at: i64,
    /// Failures up to then do not count, unless it lies ahead: then the clock was set back since, and
    /// everything that is kept came after it.
    pub reset_at: Option<i64>,
}

/// How many failures are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// So many failures within the window block.
    pub max_attempts: usize,
    /// The length of the window in microseconds.
    pub window: i64,
    /// Whether [`DAILY_LIMIT`] failures within a day block, too.
    pub daily: bool,
}

impl Rule {
    /// A rule with a window in minutes; what is less than one counts as none.
    #[must_use]
    pub fn new(max_attempts: i32, window_minutes: i32, daily: bool) -> Self {
        Self {
            max_attempts: usize::try_from(max_attempts).unwrap_or(0),
            window: i64::from(window_minutes.max(0)) * MINUTE,
            daily,
        }
    }

    const DAILY: Self = Self { max_attempts: DAILY_LIMIT, window: DAY, daily: false };
}

impl Failures {
    /// The failures that count: within the window before the moment. A little ahead counts as well, since a
    /// clock that is set back must not give more tries; farther ahead than the window does not, or it would
    /// block for ever.
    fn counted(&self, moment: Moment, window: i64) -> impl DoubleEndedIterator<Item = &Entry> {
        let first = moment.at.saturating_sub(window);
        self.up_to(moment, window).filter(move |entry| entry.at > first)
    }

    /// The same without a beginning.
    fn up_to(&self, moment: Moment, window: i64) -> impl DoubleEndedIterator<Item = &Entry> {
        let last = moment.at.saturating_add(window);
        let reset = moment.reset_at.filter(|reset| *reset <= moment.at).unwrap_or(i64::MIN);
        self.entries().iter().filter(move |entry| entry.at > reset && entry.at <= last)
    }

    /// How many failures lie in a window that ends at the moment.
    #[must_use]
    pub fn count(&self, moment: Moment, window: i64) -> usize {
        self.counted(moment, window).count()
    }

    /// How many different tags they have.
    #[must_use]
    pub fn count_tags(&self, moment: Moment, window: i64) -> usize {
        let mut tags: Vec<u16> = self.counted(moment, window).map(|entry| entry.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        tags.len()
    }

    /// Whether another try may be made.
    #[must_use]
    pub fn has_room(&self, moment: Moment, rule: Rule) -> bool {
        self.count(moment, rule.window) < rule.max_attempts
            && (!rule.daily || self.count(moment, DAY) < DAILY_LIMIT)
    }

    /// Since when more tries have been refused without a gap, as far as the failures show that are kept; None
    /// when they are not refused. The daily rule has no part in it.
    ///
    /// When so many came that some were pushed out, the block may have begun before: then it is taken to have
    /// begun a window before the oldest one that is left, so that a flood does not look like one new block
    /// after the other.
    #[must_use]
    pub fn block_began(&self, moment: Moment, rule: Rule) -> Option<i64> {
        let before = rule.max_attempts.checked_sub(1)?;
        if self.count(moment, rule.window) < rule.max_attempts {
            return None;
        }
        let times: Vec<i64> = self.up_to(moment, rule.window).map(|entry| entry.at.min(moment.at)).collect();
        let mut began = *times.last()?;
        // Each failure that makes the number full blocks until the first of that number is out of the window.
        for (full, first) in times.iter().skip(before).zip(&times).rev() {
            if first + rule.window < began {
                return Some(began);
            }
            began = *full;
        }
        let oldest = *times.first()?;
        let is_whole = self.entries().len() > times.len() || !self.is_full();
        Some(if is_whole { began } else { oldest.saturating_sub(rule.window) })
    }

    /// In how many seconds, rounded up, there will be room if nobody fails again; 0 when there is.
    #[must_use]
    pub fn retry_after(&self, moment: Moment, rule: Rule) -> i64 {
        let by_rule = self.wait(moment, rule);
        if rule.daily { by_rule.max(self.wait(moment, Rule::DAILY)) } else { by_rule }
    }

    fn wait(&self, moment: Moment, rule: Rule) -> i64 {
        // The failure that must leave the window, so that one less than the most is left in it.
        let last = self.counted(moment, rule.window).rev().nth(rule.max_attempts.saturating_sub(1));
        last.map_or(0, |entry| (entry.at + rule.window - moment.at + SECOND - 1) / SECOND)
    }
}
