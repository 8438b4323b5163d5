//! Certificates: expired rows that leave a protected table are counted, and when the transaction commits, an
//! event says how many went and how old they were.
//!
//! Counting goes row by row, so it does not matter by which way the rows went; rows whose savepoint was rolled
//! back are not counted.

use crate::pg::call::text_function;
use crate::pg::{acting, encoding, session, types};
use pgrx::prelude::*;
use serde_json::json;
use std::cell::RefCell;

/// Rows of one table that went at one nesting level.
struct Tally {
    depth: i32,
    table: pg_sys::Oid,
    retention: String,
    rows: u64,
    oldest: i64,
    newest: i64,
}

thread_local! {
    static TALLIES: RefCell<Vec<Tally>> = const { RefCell::new(Vec::new()) };
}

/// Counts a row of `table` whose time is `at`.
pub(super) fn count(table: pg_sys::Oid, retention: &str, at: i64) {
    let depth = session::depth();
    TALLIES.with_borrow_mut(|tallies| {
        match tallies.iter_mut().find(|tally| tally.depth == depth && tally.table == table) {
            Some(tally) => {
                tally.rows += 1;
                tally.oldest = tally.oldest.min(at);
                tally.newest = tally.newest.max(at);
            }
            None => tallies.push(Tally {
                depth,
                table,
                retention: retention.to_owned(),
                rows: 1,
                oldest: at,
                newest: at,
            }),
        }
    });
}

/// Writes the certificates of a transaction that is about to end.
pub(super) fn write_all() {
    while let Some(table) = TALLIES.with_borrow(|tallies| tallies.first().map(|tally| tally.table)) {
        acting::with_snapshot(|| write(table, "statement"));
    }
}

/// Writes the certificate of one table now; returns the number of the event, 0 when no row went.
pub(super) fn write(table: pg_sys::Oid, by: &str) -> i64 {
    let Some(total) = take(table) else { return 0 };
    let facts = json!({
        "rows": total.rows,
        "oldest": types::utc_text(total.oldest),
        "newest": types::utc_text(total.newest),
        "retention": total.retention,
        "by": by,
    });
    let facts = encoding::from_utf8(&facts.to_string());
    let table = table.to_u32().to_string().into_bytes();
    let event = text_function(c"_certify_rows", [&table, &facts]);
    String::from_utf8_lossy(&event).parse().unwrap_or(0)
}

fn take(table: pg_sys::Oid) -> Option<Tally> {
    TALLIES.with_borrow_mut(|tallies| {
        let (mine, others): (Vec<_>, Vec<_>) =
            std::mem::take(tallies).into_iter().partition(|tally| tally.table == table);
        *tallies = others;
        mine.into_iter().reduce(Tally::plus)
    })
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            oldest: self.oldest.min(other.oldest),
            newest: self.newest.max(other.newest),
            depth: self.depth.min(other.depth),
            ..self
        }
    }
}

pub(super) fn forget_all() {
    TALLIES.with_borrow_mut(Vec::clear);
}

pub(super) fn abort_savepoint(depth: i32) {
    TALLIES.with_borrow_mut(|tallies| tallies.retain(|tally| tally.depth < depth));
}

/// What went in a released savepoint counts for the level around it.
pub(super) fn release_savepoint(depth: i32) {
    TALLIES.with_borrow_mut(|tallies| {
        tallies.iter_mut().for_each(|tally| tally.depth = tally.depth.min(depth - 1));
    });
}
