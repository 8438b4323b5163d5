//! Which transactions had finished at one moment, and which finished between two.

use super::Malformed;

const ORDER: Malformed = Malformed("the numbers of a snapshot are not in their order");

/// A snapshot as `pg_snapshot` is printed: `xmin:xmax:xip,...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All transactions below it had finished.
    pub xmin: u64,
    /// No transaction from it on had finished.
    pub xmax: u64,
    /// Which of those between them had not, in ascending order.
    pub xip: Vec<u64>,
}

impl Snapshot {
    /// Reads the text.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when PostgreSQL would not print this text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(Malformed("a snapshot has three parts"));
        let (xmin, xmax, list) = (number(part()?)?, number(part()?)?, part()?);
        let xip = match list {
            "" => Vec::new(),
            _ => list.split(',').map(number).collect::<Result<Vec<u64>, _>>()?,
        };
        let is_ascending = xip.is_sorted_by(|earlier, later| earlier < later);
        let is_within =
            xip.first().is_none_or(|first| *first >= xmin) && xip.last().is_none_or(|last| *last < xmax);
        if xmin == 0 || xmin > xmax || !is_ascending || !is_within {
            return Err(ORDER);
        }
        Ok(Self { xmin, xmax, xip })
    }

    /// Whether a transaction had finished, by committing or otherwise.
    #[inline]
    #[must_use]
    pub fn is_finished(&self, transaction_id: u64) -> bool {
        transaction_id < self.xmin
            || (transaction_id < self.xmax && self.xip.binary_search(&transaction_id).is_err())
    }
}

/// A number as it is printed.
fn number(text: &str) -> Result<u64, Malformed> {
    let is_printed =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = text.parse().ok().filter(|_| is_printed);
    number.ok_or(Malformed("a part of a snapshot is no number"))
}

impl std::fmt::Display for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (index, transaction_id) in self.xip.iter().enumerate() {
            write!(f, "{}{transaction_id}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// What finished after one snapshot and before another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The earlier snapshot.
    pub prev: Snapshot,
    /// The later one.
    pub next: Snapshot,
}

impl Window {
    /// Whether a transaction finished between the snapshots.
    #[inline]
    #[must_use]
    pub fn contains(&self, transaction_id: u64) -> bool {
        self.next.is_finished(transaction_id) && !self.prev.is_finished(transaction_id)
    }

    /// The transactions of the window that had begun before the earlier snapshot, ascending. With those of
    /// [`range`](Self::range) they are all of the window: looking for the two apart spares the transactions
    /// between them while a long one is open.
    pub fn late(&self) -> impl Iterator<Item = u64> {
        self.prev.xip.iter().copied().filter(|transaction_id| self.next.is_finished(*transaction_id))
    }

    /// Where the other transactions of the window lie. Not every one in the range belongs to it: ask
    /// [`contains`](Self::contains).
    #[must_use]
    pub const fn range(&self) -> std::ops::Range<u64> {
        self.prev.xmax..self.next.xmax
    }
}
