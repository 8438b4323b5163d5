//! `audit.set_context()` and `audit.current_context()`.

use super::context;
use super::declared::{self, Declared};
use crate::pg::{errors, session};
use audit_guard_core::request::{check_declared_context, merge};
use pgrx::datum::{Inet, JsonB, Uuid};
use pgrx::prelude::*;
use serde_json::Value;

/// Declares who acts, until the transaction ends. Arguments that are NULL keep what was declared before;
/// without any argument, everything declared is dropped.
///
/// Errors: 22023 when `context` is no JSON object or uses a key that the server itself writes.
#[pg_extern(sql = false)]
fn set_context(
    actor_id: Option<&str>,
    session_id: Option<Uuid>,
    client_ip: Option<Inet>,
    tenant_id: Option<&str>,
    phi_accessed: Option<bool>,
    context: Option<JsonB>,
) {
    let nothing = actor_id.is_none()
        && session_id.is_none()
        && client_ip.is_none()
        && tenant_id.is_none()
        && phi_accessed.is_none()
        && context.is_none();
    if nothing {
        return declared::declare(Declared::default());
    }
    let mut declared = declared::current();
    if let Some(JsonB(context)) = context {
        let Value::Object(context) = context else {
            errors::raise(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "context must be a JSON object",
                Some("SELECT audit.set_context(context => '{\"app\": {\"ticket\": \"HD-88\"}}');"),
            )
        };
        if let Err(error) = check_declared_context(&context) {
            errors::raise(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                &error.to_string(),
                error.hint().as_deref(),
            );
        }
        merge(&mut declared.context, context);
    }
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    declared.actor_id = actor_id.and_then(text).or(declared.actor_id);
    declared.session_id = session_id.map(|id| *id.as_bytes()).or(declared.session_id);
    declared.client_ip = client_ip.map(|address| address.0).or(declared.client_ip);
    declared.tenant_id = tenant_id.and_then(text).or(declared.tenant_id);
    declared.phi_accessed = phi_accessed.or(declared.phi_accessed);
    declared::declare(declared);
    if session::is_single_statement() {
        errors::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            "set_context outside of a transaction lasts for this statement only",
            Some("BEGIN; SELECT audit.set_context(...); ... COMMIT;"),
        );
    }
}

/// What would be logged for a change at this moment.
#[pg_extern(sql = false, stable)]
fn current_context() -> pgrx::composite_type!('static, "audit.request_context") {
    let filled = context::show(|context| -> Result<_, Box<dyn std::error::Error>> {
        let text = |value: &crate::pg::buffer::Varlena| String::from_utf8_lossy(value.payload()).into_owned();
        let mut row = PgHeapTuple::new_composite_type("audit.request_context")?;
        row.set_by_name("actor_id", context.actor_id.as_ref().map(text))?;
        row.set_by_name("actor_source", context.actor_source.as_ref().map(text))?;
        row.set_by_name("login_role", text(&context.login_role))?;
        row.set_by_name("actor_role", text(&context.actor_role))?;
        row.set_by_name("tenant_id", context.tenant_id.as_ref().map(text))?;
        row.set_by_name("session_id", context.session_id.map(Uuid::from_bytes))?;
        row.set_by_name("client_ip", context.client_ip.as_ref().map(session::inet_text).map(Inet))?;
        row.set_by_name("application_name", context.application_name.as_ref().map(text))?;
        row.set_by_name("phi_accessed", context.phi_accessed)?;
        let more = context.context_text.as_deref().map(serde_json::from_str::<Value>).transpose()?;
        row.set_by_name("context", more.map(JsonB))?;
        Ok(row)
    });
    filled.unwrap_or_else(|error| {
        errors::raise(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, &error.to_string(), None)
    })
}
