//! `audit.log_changes()`: the trigger function behind every tracked table.
//!
//! Runs once for every row that a user writes, so nothing here looks into a catalogue or allocates what the
//! plan or the scratch memory could hold.

use super::context;
use super::image::Images;
use super::key::KeyWriter;
use super::plan::{self, KeyColumn, Plan};
use super::truncate;
use crate::pg::buffer::Buffer;
use crate::pg::leaf::Field;
use crate::pg::trigger::{Event, TriggerCall};
use crate::pg::tuple::{self, Values};
use crate::pg::writer::{self as log, Operation, Row};
use crate::pg::{errors, ids};
use audit_guard_core::change_order::ChangeOrder;
use audit_guard_core::options::Detail;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};

crate::pg::trigger::trigger_function!(
    audit_log_changes,
    pg_finfo_audit_log_changes,
    TriggerCall::new,
    log_changes
);

/// Memory that is reused from row to row. A conversion may run a user's function, which may write another
/// tracked table; that inner call finds the place empty and makes its own.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) old: Values,
    new: Values,
    pub(super) images: Images,
    changed: Vec<bool>,
    pub(super) writer: KeyWriter,
    pub(super) key: Buffer,
    old_key: Buffer,
    pub(super) tenant: Buffer,
}

thread_local! {
    static ORDER: RefCell<ChangeOrder> = RefCell::new(ChangeOrder::default());
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

fn log_changes(call: &TriggerCall) {
    let event = call.event();
    check(call, event);
    let plan = plan::of(call);
    let mut scratch = SCRATCH.take().unwrap_or_default();
    match event.operation {
        Operation::Truncate => truncate::log(call, &plan, &mut scratch),
        operation => log_row(call, operation, &plan, &mut scratch),
    }
    SCRATCH.set(Some(scratch));
}

/// A trigger made by hand may be of a kind that cannot work.
fn check(call: &TriggerCall, event: Event) {
    let fits = match event.operation {
        Operation::Truncate => !event.for_each_row,
        _ => event.for_each_row && event.after,
    };
    if !fits {
        let table = call.relation_name();
        errors::raise(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            &format!("audit.log_changes() on {table} must be an AFTER ... FOR EACH ROW trigger"),
            Some(&format!("SELECT audit.enable_tracking('{table}');")),
        );
    }
}

/// Adds what is the same for every kind of change.
pub(super) fn complete(plan: &Plan, row: &mut Row, row_tenant: Option<pg_sys::Datum>) {
    row.set(Field::TableSchema, plan.schema.datum());
    row.set(Field::TableName, plan.table.datum());
    context::fill(row, plan.phi, row_tenant);
}

fn log_row(call: &TriggerCall, operation: Operation, plan: &Plan, scratch: &mut Scratch) {
    let Scratch { old, new, images, changed, writer, key, old_key, tenant } = scratch;
    let mut row = Row::new();
    let current = match operation {
        Operation::Insert => {
            call.read_row(new);
            &*new
        }
        Operation::Delete => {
            call.read_row(old);
            &*old
        }
        _ => {
            call.read_row(old);
            call.read_new_row(new);
            if !mark_changes(plan, old, new, changed) {
                return;
            }
            &*new
        }
    };
    let row_tenant = plan.convert(|| {
        match (operation, plan.detail) {
            (Operation::Insert, _) => row.set(Field::NewRecord, images.whole_new(plan, new)),
            (Operation::Delete, _) => row.set(Field::OldRecord, images.whole_old(plan, old)),
            (_, detail) => {
                let new_image = match detail {
                    Detail::Changed => images.changed_new(plan, new, changed),
                    _ => images.whole_new(plan, new),
                };
                let old_image = match detail {
                    Detail::Full => images.whole_old_beside_new(plan, old, changed),
                    _ => images.changed_old(plan, old, changed),
                };
                row.set(Field::NewRecord, new_image);
                row.set(Field::OldRecord, old_image);
                row.set(Field::ChangedFields, images.changed_fields(plan, changed));
            }
        }
        let of_current = |part: &KeyColumn| current.get(part.position);
        row.set_optional(Field::RecordId, writer.write_key(&plan.key, of_current, key));
        if operation == Operation::Update && key_changed(plan, old, new) {
            let of_old = |part: &KeyColumn| old.get(part.position);
            row.set_optional(Field::OldRecordId, writer.write_key(&plan.key, of_old, old_key));
        }
        plan.tenant.as_ref().and_then(|column| writer.write_text(column, of_current(column), tenant))
    });
    complete(plan, &mut row, row_tenant);
    log::write(operation, &mut row, time_of(call, plan));
}

/// When the change happened. Triggers that fired before this one may have changed more, and that was logged first.
fn time_of(call: &TriggerCall, plan: &Plan) -> i64 {
    let now = ids::clock();
    if !plan.numbers_commands {
        return now;
    }
    ORDER.with_borrow_mut(|order| order.time_of(call.command(), now))
}

/// Forgets the order of changes of a transaction that has ended.
pub(super) fn end_transaction() {
    ORDER.with_borrow_mut(ChangeOrder::clear);
}

/// Marks the logged columns whose values differ; false when there are none.
fn mark_changes(plan: &Plan, old: &Values, new: &Values, changed: &mut Vec<bool>) -> bool {
    changed.clear();
    let mut any = false;
    for column in &plan.columns {
        let position = column.position;
        let differs = !tuple::same(&column.column, old.get(position), new.get(position));
        any |= differs;
        changed.push(differs);
    }
    any
}

fn key_changed(plan: &Plan, old: &Values, new: &Values) -> bool {
    plan.key.iter().any(|part| !tuple::same(&part.column, old.get(part.position), new.get(part.position)))
}
