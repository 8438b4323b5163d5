//! `audit.prevent_modification()`: the trigger that makes a table append-only.

use super::denial::{self, Layer};
use crate::capture;
use crate::pg::trigger::TriggerCall;
use crate::pg::writer::Operation;
use crate::pg::{acting, errors, unsealed};
use pgrx::prelude::*;

crate::pg::trigger::trigger_function!(
    audit_prevent_modification,
    pg_finfo_audit_prevent_modification,
    TriggerCall::new,
    prevent_modification
);

/// Refuses the UPDATE, DELETE or TRUNCATE that fired it.
fn prevent_modification(call: &TriggerCall) {
    let table = call.relation_name();
    let operation = match call.event().operation {
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Truncate => "TRUNCATE",
        Operation::Insert if table.schema == b"audit" => return refuse_forgery(&table.to_string()),
        Operation::Insert => errors::raise(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            &format!("audit.prevent_modification() on {table} must not fire on INSERT"),
            Some("CREATE TRIGGER ... BEFORE UPDATE OR DELETE OR TRUNCATE ON ..."),
        ),
    };
    refuse(Layer::Trigger, operation, &table.to_string());
}

pub(super) fn refuse(layer: Layer, operation: &str, table: &str) -> ! {
    denial::refuse(
        layer,
        operation,
        table,
        PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
        &format!("{table} is append-only: {operation} refused"),
        Some("Expired rows leave by retention only: SELECT * FROM audit.retention_plan();"),
    )
}

/// Our own tables are filled by our own functions, which run as their owner; by a restore, as long as this
/// database has recorded nothing itself; and after `begin_restore`.
pub(super) fn refuses_rows() -> bool {
    !acting::in_own_function() && !capture::is_restoring() && acting::has_own_events()
}

fn refuse_forgery(table: &str) {
    // What the ledger writes for itself is in no seal.
    if table != "audit.seals" && !table.starts_with("audit.ledger_") {
        unsealed::note_write();
    }
    if !refuses_rows() {
        return;
    }
    denial::refuse(
        Layer::Trigger,
        "INSERT",
        table,
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        &format!("rows of {table} are written by audit_guard only: INSERT refused"),
        Some("To load what was saved elsewhere, in one transaction: SELECT audit.begin_restore('reason');"),
    );
}
