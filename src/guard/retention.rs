//! `audit.enforce_retention()`: the trigger of a protected table. A row is checked when it comes, and may go
//! when it has stood its time.

use super::denial::{self, Layer};
use super::policy::TimeColumn;
use super::{certificate, holds, policy};
use crate::pg::trigger::TriggerCall;
use crate::pg::writer::Operation;
use crate::pg::{errors, ids, unsealed};
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

/// A row's age is judged by a column of its own, so that column must be true when the row comes. Its time may be
/// that of the transaction, which may have begun long ago.
fn check_new(call: &TriggerCall) {
    // It may be a log that is sealed.
    unsealed::note_write();
    let policy = policy::of(call);
    let Some(column) = &policy.timestamp else { return };
    let tolerance = settings::insert_time_tolerance();
    let stored = column.read(call);
    let fits = |stored: i64, now: i64| {
        column.precision.earliest(stored) <= now.saturating_add(tolerance)
            && column.precision.latest(stored) >= ids::transaction_start().saturating_sub(tolerance)
    };
    if stored.is_none_or(|stored| !fits(stored, ids::statement_start())) && !capture::is_restoring() {
        refuse_new(call, column, stored, fits);
    }
}

fn refuse_new(call: &TriggerCall, column: &TimeColumn, stored: Option<i64>, fits: impl Fn(i64, i64) -> bool) {
    const HOUR: i64 = 3_600_000_000;
    let now = ids::clock();
    let rule = match stored {
        None => format!("{} must not be null", column.name),
        // The statement has been running for a while.
        Some(stored) if fits(stored, now) => return,
        Some(stored) if column.precision.earliest(stored) > now => {
            format!("{} lies in the future", column.name)
        }
        Some(stored) => match now.saturating_sub(column.precision.latest(stored)) / HOUR {
            hours if hours >= 48 => format!("{} is {} days old", column.name, hours / 24),
            hours => format!("{} is {hours} hours old", column.name),
        },
    };
    refuse(call, "INSERT", &rule, Some(RESTORE));
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
