//! Guard: nobody changes or removes a row of a protected table by a statement, superusers included.

use crate::pg::errors;
use crate::pg::trigger::TriggerCall;
use crate::pg::writer::Operation;
use pgrx::prelude::*;

crate::pg::trigger::trigger_function!(
    audit_prevent_modification,
    pg_finfo_audit_prevent_modification,
    TriggerCall::new,
    prevent_modification
);

/// `audit.prevent_modification()`: refuses the UPDATE, DELETE or TRUNCATE that fired it.
fn prevent_modification(call: &TriggerCall) {
    let table = call.relation_name();
    let operation = match call.event().operation {
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Truncate => "TRUNCATE",
        Operation::Insert => errors::raise(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            &format!("audit.prevent_modification() on {table} must not fire on INSERT"),
            Some("CREATE TRIGGER ... BEFORE UPDATE OR DELETE OR TRUNCATE ON ..."),
        ),
    };
    errors::raise(
        PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
        &format!("{table} is append-only: {operation} refused"),
        Some("Expired rows leave by retention only: SELECT * FROM audit.retention_plan();"),
    );
}
