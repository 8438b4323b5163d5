//! Which seals are looked at together.

use std::collections::VecDeque;

use crate::database::{Database, SealPlan};
use crate::failure::Result;

/// How many seals are looked at together at most, however few rows they have.
const SEALS: usize = 2_000;
/// How many seals are planned at a time.
const PLANNED: u32 = 10_000;

/// Some consecutive seals.
pub(crate) struct Task {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) leaves: u64,
    /// The times of their oldest and newest row, microseconds since 1970.
    pub(crate) oldest_at: i64,
    pub(crate) newest_at: i64,
}

/// Hands out seals in slices of one life and kind: whole batches, or pieces of one.
pub(crate) struct Planner {
    planned: VecDeque<SealPlan>,
    after: i64,
    leaves: i64,
    is_done: bool,
}

impl Planner {
    /// Begins behind a seal; a slice has so many leaves, but for a single seal that has more.
    pub(crate) const fn new(after: i64, leaves: i64) -> Self {
        Self { planned: VecDeque::new(), after, leaves, is_done: false }
    }

    /// The next slice.
    pub(crate) fn next(&mut self, database: &mut Database) -> Result<Option<Task>> {
        // One more than are taken: it tells whether a batch goes on.
        if self.planned.len() <= SEALS && !self.is_done {
            let more = database.plans(self.after, PLANNED)?;
            self.is_done = more.len() < PLANNED as usize;
            self.after = more.last().map_or(self.after, |last| last.seal_no);
            self.planned.extend(more);
        }
        Ok(self.cut())
    }

    fn cut(&mut self) -> Option<Task> {
        let first = self.planned.front().copied()?;
        // The longest run that may be taken together, and the end of the last whole batch in it.
        let mut leaves = 0_i64;
        let mut taken = 0;
        let mut whole = 0;
        for (place, plan) in self.planned.iter().enumerate() {
            let fits = leaves.saturating_add(plan.leaves) <= self.leaves && place < SEALS;
            let is_same = (plan.incarnation, plan.kind) == (first.incarnation, first.kind);
            if place > 0 && !(fits && is_same) {
                break;
            }
            leaves = leaves.saturating_add(plan.leaves);
            taken = place + 1;
            if self.planned.get(taken).is_none_or(|next| next.batch != plan.batch) {
                whole = taken;
            }
        }
        let own: Vec<SealPlan> = self.planned.drain(..if whole > 0 { whole } else { taken }).collect();
        // A seal of one leaf has no row, and no times.
        let with_rows = || own.iter().filter(|plan| plan.leaves > 1);
        Some(Task {
            first: first.seal_no,
            last: own.last().map_or(first.seal_no, |last| last.seal_no),
            leaves: own.iter().map(|plan| u64::try_from(plan.leaves).unwrap_or(0)).sum(),
            oldest_at: with_rows().map(|plan| plan.oldest_at).min().unwrap_or(i64::MAX),
            newest_at: with_rows().map(|plan| plan.newest_at).max().unwrap_or(i64::MIN),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches as (number, leaves of each seal), cut into slices of 100 leaves.
    fn cut(batches: &[(i64, &[i64])]) -> Vec<(i64, i64)> {
        let mut planner = Planner::new(0, 100);
        planner.is_done = true;
        for (batch, seals) in batches {
            for leaves in *seals {
                planner.planned.push_back(SealPlan {
                    seal_no: planner.planned.len() as i64 + 1,
                    incarnation: 1,
                    batch: *batch,
                    kind: 0,
                    leaves: *leaves,
                    oldest_at: 0,
                    newest_at: 0,
                });
            }
        }
        std::iter::from_fn(|| planner.cut()).map(|task| (task.first, task.last)).collect()
    }

    #[test]
    fn whole_batches_or_pieces_of_one() {
        assert_eq!(cut(&[(1, &[10]), (2, &[20]), (3, &[80])]), [(1, 2), (3, 3)]);
        assert_eq!(cut(&[(1, &[10]), (2, &[40, 40, 40])]), [(1, 1), (2, 3), (4, 4)]);
        assert_eq!(cut(&[(1, &[500, 500]), (2, &[5])]), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(cut(&[(1, &[60, 30, 60]), (2, &[5])]), [(1, 2), (3, 4)]);
    }
}
