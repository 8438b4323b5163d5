//! The policy of a protected table: read once from the arguments of its trigger, kept until something about the
//! table changes.

use crate::pg::events::{Stale, watch};
use crate::pg::relation::{self, Column};
use crate::pg::trigger::TriggerCall;
use crate::pg::trigger_row::{self, Change};
use crate::pg::{errors, names, types};
use audit_guard_core::options::ColumnRef;
use audit_guard_core::retention::{Period, Policy, Precision};
use pgrx::datum::Interval;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The column that says how old a row is.
pub(super) struct TimeColumn {
    pub(super) name: String,
    pub(super) precision: Precision,
    attnum: i16,
    is_date: bool,
}

impl TimeColumn {
    /// What the row that fired holds, in microseconds; None when it is null.
    #[inline]
    pub(super) fn read(&self, call: &TriggerCall) -> Option<i64> {
        let value = call.column(self.attnum)?.value();
        Some(if self.is_date { days_to_micros(value as i32) } else { value as i64 })
    }
}

/// The ends of time stay what they are.
fn days_to_micros(days: i32) -> i64 {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    match days {
        i32::MIN => i64::MIN,
        i32::MAX => i64::MAX,
        days => i64::from(days) * MICROS_PER_DAY,
    }
}

/// Everything about a protected table that does not change from row to row.
pub(super) struct TablePolicy {
    /// The table that was protected: the top of the chain for a partition.
    pub(super) root: pg_sys::Oid,
    pub(super) retention: Period,
    pub(super) retention_text: String,
    /// None when it is not clear any more which column was meant: then no row expires.
    pub(super) timestamp: Option<TimeColumn>,
    stale: Stale,
}

#[derive(Default)]
struct Policies {
    by_trigger: HashMap<pg_sys::Oid, Rc<TablePolicy>>,
    last: Option<(pg_sys::Oid, Rc<TablePolicy>)>,
}

thread_local! {
    static POLICIES: RefCell<Policies> = RefCell::new(Policies::default());
}

/// The policy behind the trigger that is being called.
#[inline]
pub(super) fn of(call: &TriggerCall) -> Rc<TablePolicy> {
    let trigger = call.trigger_oid();
    let known = POLICIES.with_borrow(|all| match &all.last {
        Some((last, policy)) if *last == trigger && !policy.stale.get() => Some(policy.clone()),
        _ => None,
    });
    known.unwrap_or_else(|| find(call, trigger))
}

fn find(call: &TriggerCall, trigger: pg_sys::Oid) -> Rc<TablePolicy> {
    let known =
        POLICIES.with_borrow(|all| all.by_trigger.get(&trigger).filter(|known| !known.stale.get()).cloned());
    let policy = known.unwrap_or_else(|| Rc::new(read(call)));
    POLICIES.with_borrow_mut(|all| {
        all.by_trigger.retain(|_, known| !known.stale.get());
        all.by_trigger.insert(trigger, policy.clone());
        all.last = Some((trigger, policy.clone()));
    });
    policy
}

fn read(call: &TriggerCall) -> TablePolicy {
    let (table, root) = (call.relation_oid(), call.tracked_table());
    let stale = watch(vec![table, root]);
    let arguments = call.arguments();
    let policy = parse(&arguments, &call.relation_name().to_string());
    let columns = call.columns();
    let name = if root == table {
        column_name(&policy.timestamp, &columns, root)
    } else {
        relation::describe(root).and_then(|(_, columns)| column_name(&policy.timestamp, &columns, root))
    };
    let timestamp = name.and_then(|name| time_column(&columns, name));
    TablePolicy {
        root,
        retention: types::interval(&policy.retention),
        retention_text: types::interval_text(&policy.retention),
        timestamp,
        stale,
    }
}

fn parse(arguments: &[String], table: &str) -> Policy {
    Policy::parse(arguments.iter().map(String::as_str)).unwrap_or_else(|error| {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("the trigger that protects {table} cannot be read: {error}"),
            Some("SELECT * FROM audit.guard_status() WHERE NOT in_force;"),
        )
    })
}

/// The name of the column that was meant. On the table on which it was chosen its number says whether the name
/// still means the same; when it does not, nothing is certain. In a restored table only the name counts.
fn column_name(wanted: &ColumnRef, columns: &[Column], table: pg_sys::Oid) -> Option<String> {
    let named = columns.iter().find(|column| !column.dropped && column.name == wanted.name)?;
    let is_same = wanted.relid != Some(table.to_u32()) || wanted.attnum == Some(named.attnum);
    is_same.then(|| named.name.clone())
}

fn time_column(columns: &[Column], name: String) -> Option<TimeColumn> {
    let column = columns.iter().find(|column| !column.dropped && column.name == name)?;
    let (precision, is_date) = match types::base(column.type_oid) {
        pg_sys::TIMESTAMPTZOID => (Precision::Zoned, false),
        pg_sys::TIMESTAMPOID => (Precision::Unzoned, false),
        pg_sys::DATEOID => (Precision::Date, true),
        _ => return None,
    };
    Some(TimeColumn { name, precision, attnum: column.attnum, is_date })
}

/// Makes the retention of a protected table longer, in the arguments of its trigger and of the clones.
///
/// Errors: 42704 when there is no such trigger of a protected table, 22023 when the retention is not longer.
#[pg_extern(sql = false)]
fn extend_policy(trigger_id: pg_sys::Oid, retention: Interval) {
    let Some(found) = trigger_row::read(trigger_id).filter(|found| found.calls(c"enforce_retention")) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            "there is no such trigger of a protected table",
            Some("SELECT * FROM audit.protected_tables;"),
        )
    };
    let table = names::relation_text(found.table);
    let mut policy = parse(&found.arguments, &table);
    let (now, wanted) = (
        types::interval(&policy.retention),
        Period { months: retention.months(), days: retention.days(), micros: retention.micros() },
    );
    if !wanted.is_retention() || !wanted.covers(now) {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("the retention of {table} can only become longer"),
            Some("SELECT retention FROM audit.protected_tables;"),
        );
    }
    policy.retention = wanted.to_string();
    let written = policy.to_args().map(|argument| crate::pg::encoding::from_utf8(&argument));
    for id in trigger_row::with_clones(trigger_id) {
        trigger_row::change(id, &Change::Arguments(&written));
    }
}
