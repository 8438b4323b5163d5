//! The order of the changes of one transaction, when they are not seen in that order.
//!
//! A trigger of the user's own that fires before ours may change more rows, even the same row again. The server
//! then tells us of those changes first, and of the change that caused them last. Commands are numbered in the
//! order in which they ran, so the number tells: a change of an older command happened before all changes of
//! newer ones, and its time must say so.

/// How many commands are remembered. Far more than triggers nest; the oldest and the latest count most.
const REMEMBERED: usize = 256;

/// What has been seen of the present transaction.
#[derive(Debug, Clone, Default)]
pub struct ChangeOrder {
    /// Commands, ascending, each with the time of the first of its changes.
    seen: Vec<(u32, i64)>,
}

impl ChangeOrder {
    /// The time of a change that the command `command` made and that is seen `now` (microseconds, never
    /// falling): `now`, or one microsecond before the first change of the next command that was seen already.
    pub fn time_of(&mut self, command: u32, now: i64) -> i64 {
        if self.seen.last().is_some_and(|&(latest, _)| latest == command) {
            return now;
        }
        let after = self.seen.partition_point(|&(earlier, _)| earlier <= command);
        let time = self.seen.get(after).map_or(now, |&(_, first)| first - 1);
        let is_known = after > 0 && self.seen.get(after - 1).is_some_and(|&(known, _)| known == command);
        if !is_known {
            self.seen.insert(after, (command, time));
            if self.seen.len() > REMEMBERED {
                self.seen.remove(REMEMBERED / 2);
            }
        }
        time
    }

    /// Forgets everything: the transaction has ended.
    pub fn clear(&mut self) {
        self.seen.clear();
    }
}
