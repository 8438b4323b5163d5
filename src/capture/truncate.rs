//! TRUNCATE: one row that says that a table was emptied and, if the table asks for it, one for each row that
//! went.
//!
//! A partitioned table is emptied as a whole or partition by partition, and the server fires the triggers of
//! each relation that it empties: the table's own first, then those of its partitions. So the table says that
//! it was emptied, and its partitions, which fire after it, say so only when they were emptied on their own.

use super::context;
use super::plan::{KeyColumn, Plan};
use super::trigger::{Scratch, complete};
use crate::pg::leaf::Field;
use crate::pg::trigger::TriggerCall;
use crate::pg::writer::{self, Operation, Row};
use crate::pg::{ids, relation, scan, session};
use pgrx::prelude::*;
use std::cell::RefCell;

/// What the TRUNCATE that is running has fired already.
#[derive(Default)]
struct Fired {
    /// Partitions whose table, or a partition above, was logged as emptied, and that have not fired
    /// themselves.
    covered: Vec<pg_sys::Oid>,
    /// Partitions that fired before their table, which the statement names after them, and the command.
    early: Vec<(pg_sys::Oid, u32)>,
}

thread_local! {
    static FIRED: RefCell<Fired> = RefCell::new(Fired::default());
}

/// Forgets a TRUNCATE that failed between two of its triggers.
pub(super) fn forget() {
    FIRED.take();
}

pub(super) fn log(call: &TriggerCall, plan: &Plan, scratch: &mut Scratch) {
    let table = call.relation_oid();
    let is_partition = table != plan.tracked;
    let logged_with_table = is_partition && was_covered(table);
    if plan.log_truncated_rows {
        log_rows(call, plan, scratch);
    }
    if logged_with_table {
        return;
    }
    let mut row = Row::new();
    complete(plan, &mut row, None);
    let partition_context = is_partition.then(|| context::with_partition(&call.relation_name()));
    if let Some(context) = &partition_context {
        row.set(Field::Context, context.datum());
    }
    cover_partitions(table);
    writer::write(Operation::Truncate, &mut row, ids::clock());
}

/// Whether the table above has said already that this partition was emptied; else notes that it fired early.
fn was_covered(partition: pg_sys::Oid) -> bool {
    let (_, command) = session::moment();
    FIRED.with_borrow_mut(|fired| match fired.covered.iter().position(|&oid| oid == partition) {
        Some(at) => {
            fired.covered.swap_remove(at);
            true
        }
        None => {
            fired.early.retain(|&(_, at)| at == command);
            fired.early.push((partition, command));
            false
        }
    })
}

fn cover_partitions(table: pg_sys::Oid) {
    let partitions = relation::partitions(table);
    let (_, command) = session::moment();
    FIRED.with_borrow_mut(|fired| {
        let early = |oid: &pg_sys::Oid| fired.early.contains(&(*oid, command));
        fired.covered = partitions.into_iter().filter(|oid| !early(oid)).collect();
    });
}

fn log_rows(call: &TriggerCall, plan: &Plan, scratch: &mut Scratch) {
    let Scratch { old, images, writer: texts, key, tenant, .. } = scratch;
    scan::every_row(call, old, |gone| {
        let mut row = Row::new();
        let row_tenant = plan.convert(|| {
            row.set(Field::OldRecord, images.whole_old(plan, gone));
            let value_of = |part: &KeyColumn| gone.get(part.position);
            row.set_optional(Field::RecordId, texts.write_key(&plan.key, value_of, key));
            plan.tenant.as_ref().and_then(|column| texts.write_text(column, value_of(column), tenant))
        });
        complete(plan, &mut row, row_tenant);
        writer::write(Operation::Truncate, &mut row, ids::clock());
    });
}
