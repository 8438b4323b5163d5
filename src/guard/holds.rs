//! Whether a row that is to go is under hold.
//!
//! Whoever places a hold waits for deletions that are under way, and a deletion waits for holds that are being
//! placed: the lock on audit.holds is taken before they are read, and they are read as they are then, whatever
//! the isolation level.

use crate::pg::call::{UPDATE_HINT, text_function};
use crate::pg::row_filter::RowFilter;
use crate::pg::trigger::TriggerCall;
use crate::pg::{acting, errors, names, session};
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Transaction and command, and the filter of each table's holds; None where the protected table has none.
type Known = ((u64, u32), HashMap<pg_sys::Oid, Option<Rc<RowFilter>>>);

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// Whether the row that fired is under a hold on the table `root` or its partition.
pub(super) fn covers(call: &TriggerCall, root: pg_sys::Oid) -> bool {
    filter(call, root).is_some_and(|filter| filter.accepts(call))
}

pub(super) fn forget() {
    KNOWN.take();
}

fn filter(call: &TriggerCall, root: pg_sys::Oid) -> Option<Rc<RowFilter>> {
    let (moment, table) = (session::moment(), call.relation_oid());
    let known = KNOWN.with_borrow(|known| {
        known.as_ref().filter(|(at, _)| *at == moment).and_then(|(_, filters)| filters.get(&table).cloned())
    });
    known.unwrap_or_else(|| {
        let filter = read(call, root);
        KNOWN.with_borrow_mut(|known| {
            if known.as_ref().is_none_or(|(at, _)| *at != moment) {
                *known = Some((moment, HashMap::new()));
            }
            if let Some((_, filters)) = known {
                filters.insert(table, filter.clone());
            }
        });
        filter
    })
}

fn read(call: &TriggerCall, root: pg_sys::Oid) -> Option<Rc<RowFilter>> {
    let Some(holds) = names::namespace(c"audit").and_then(|schema| names::relation(schema, c"holds")) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            "table audit.holds is missing",
            Some(UPDATE_HINT),
        )
    };
    acting::lock_row_share(holds);
    let root = root.to_u32().to_string().into_bytes();
    let condition = acting::with_latest_snapshot(|| text_function(c"_hold_condition", [&root]));
    (!condition.is_empty()).then(|| Rc::new(RowFilter::new(call, &condition)))
}
