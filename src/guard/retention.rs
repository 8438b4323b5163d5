//! `audit.enforce_retention()`: the trigger of a protected table. A row is checked when it comes, and may go
//! when it has stood its time.

use super::denial::{self, Layer};
use super::{certificate, holds, policy};
use crate::pg::trigger::TriggerCall;
use crate::pg::writer::Operation;
use crate::pg::{errors, ids};
use crate::{capture, settings};
use pgrx::prelude::*;

crate::pg::trigger::trigger_function!(
    audit_enforce_retention,
    pg_finfo_audit_enforce_retention,
    TriggerCall::new,
    enforce_retention
);

fn enforce_retention(call: &TriggerCall) {
    let event = call.event();
    match (event.operation, event.for_each_row) {
        (Operation::Insert, true) => check_new(call),
        (Operation::Delete, true) => check_expired(call),
        (Operation::Update, _) => refuse_update(Layer::Trigger, &call.relation_name().to_string()),
        (Operation::Truncate, _) => refuse_truncate(Layer::Trigger, &call.relation_name().to_string()),
        _ => errors::raise(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            &format!(
                "audit.enforce_retention() on {} must fire FOR EACH ROW on INSERT and DELETE",
                call.relation_name()
            ),
            Some("SELECT audit.protect('<table>'); attaches the triggers of a protected table."),
        ),
    }
}

const PLAN: &str = "Expired rows: SELECT * FROM audit.retention_plan();";
const RESTORE: &str = "In one transaction: SELECT audit.begin_restore('reason'); then load.";

/// A row's age is judged by a column of its own, so that column must be true when the row comes.
fn check_new(call: &TriggerCall) {
    if capture::is_restoring() {
        return;
    }
    let policy = policy::of(call);
    let Some(column) = &policy.timestamp else { return };
    let Some(stored) = column.read(call) else {
        refuse(call, "INSERT", &format!("{} must not be null", column.name), Some(RESTORE))
    };
    let (now, tolerance) = (ids::clock(), settings::insert_time_tolerance());
    if column.precision.earliest(stored) > now.saturating_add(tolerance) {
        refuse(call, "INSERT", &format!("{} lies in the future", column.name), Some(RESTORE));
    }
    let latest = column.precision.latest(stored);
    if latest < now.saturating_sub(tolerance) {
        const DAY: i64 = 86_400_000_000;
        const HOUR: i64 = DAY / 24;
        let age = now.saturating_sub(latest);
        let age =
            if age >= 2 * DAY { format!("{} days", age / DAY) } else { format!("{} hours", age / HOUR) };
        let rule = format!("{} is {age} old", column.name);
        refuse(call, "INSERT", &rule, Some(RESTORE));
    }
}

fn check_expired(call: &TriggerCall) {
    let policy = policy::of(call);
    let Some(column) = &policy.timestamp else {
        refuse(call, "DELETE", "the column that says how old a row is cannot be found", Some(STATUS))
    };
    let latest = column.read(call).map(|stored| column.precision.latest(stored));
    let is_expired = |latest: i64| latest != i64::MAX && latest <= policy.retention.before(ids::clock());
    match latest.filter(|&latest| is_expired(latest)) {
        None => {
            let rule = format!("rows stay for {} after {}", policy.retention_text, column.name);
            refuse(call, "DELETE", &rule, Some(PLAN))
        }
        Some(_) if holds::covers(call, policy.root) => {
            refuse(call, "DELETE", "a row is under hold", Some("SELECT * FROM audit.active_holds;"))
        }
        Some(latest) => certificate::count(policy.root, &policy.retention_text, latest),
    }
}

const STATUS: &str = "SELECT * FROM audit.guard_status() WHERE NOT in_force;";

pub(super) fn refuse_update(layer: Layer, table: &str) -> ! {
    refuse_on(
        layer,
        table,
        "UPDATE",
        "rows are never changed",
        Some("Add a new row that says what is true now."),
    )
}

pub(super) fn refuse_truncate(layer: Layer, table: &str) -> ! {
    refuse_on(layer, table, "TRUNCATE", "only expired rows may go", Some(PLAN))
}

fn refuse(call: &TriggerCall, command: &str, rule: &str, hint: Option<&str>) -> ! {
    refuse_on(Layer::Trigger, &call.relation_name().to_string(), command, rule, hint)
}

fn refuse_on(layer: Layer, table: &str, command: &str, rule: &str, hint: Option<&str>) -> ! {
    denial::refuse(
        layer,
        command,
        table,
        PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
        &format!("{table} is protected: {command} refused, {rule}"),
        hint,
    )
}
