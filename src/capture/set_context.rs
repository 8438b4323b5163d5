//! `audit.set_context()` and `audit.current_context()`.

use super::context;
use super::declared::{self, Declared};
use crate::pg::{composite, errors, session};
use audit_guard_core::request::{check_declared_context, merge};
use pgrx::datum::{AnyElement, Inet, Uuid};
use pgrx::prelude::*;
use serde_json::Value;

/// Declares who acts, until the transaction ends. Text comes in the database's encoding, `context` as the
/// bytes of a jsonb. Arguments that are NULL keep what was declared before;
/// without any argument, everything declared is dropped.
///
/// Errors: 22023 when `context` is no JSON object or uses a key that the server itself writes.
#[pg_extern(sql = false)]
fn set_context(
    actor_id: Option<&[u8]>,
    session_id: Option<Uuid>,
    client_ip: Option<Inet>,
    tenant_id: Option<&[u8]>,
    phi_accessed: Option<bool>,
    context: Option<&[u8]>,
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
    if let Some(context) = context {
        let parsed = serde_json::from_str(&session::jsonb_text(context));
        let Ok(Value::Object(context)) = parsed else {
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
    let text = |value: &[u8]| (!value.is_empty()).then(|| value.to_vec());
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
fn current_context() -> Option<AnyElement> {
    context::show(|columns| composite::value("audit.request_context", columns))
}
