//! `audit.set_context()`, `audit.begin_restore()` and `audit.current_context()`.

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
    let mut declared = declared::current();
    if nothing {
        return declared::declare(Declared { restore: declared.restore, ..Declared::default() });
    }
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

/// Marks what the rest of the transaction changes as loaded by a restore, and records why. Text comes in the
/// database's encoding. The mark stays when declarations are dropped, and goes back with a savepoint.
///
/// Errors: 22004 without a reason, 22023 for a blank one.
#[pg_extern(sql = false)]
fn begin_restore(reason: Option<&[u8]>) -> Result<(), spi::Error> {
    const HINT: &str = "BEGIN; SELECT audit.begin_restore('backup of 2026-11-19'); ... COMMIT;";
    let Some(reason) = reason else {
        errors::raise(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, "reason must not be null", Some(HINT))
    };
    if reason.trim_ascii().is_empty() {
        errors::raise(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "reason must not be blank", Some(HINT))
    }
    Spi::run_with_args(
        "SELECT audit._record_event('restore_begun', NULL,
            pg_catalog.convert_from($1, pg_catalog.getdatabaseencoding()), NULL)",
        &[reason.to_vec().into()],
    )?;
    declared::declare(Declared { restore: true, ..declared::current() });
    if session::is_single_statement() {
        errors::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            "begin_restore outside of a transaction lasts for this statement only",
            Some(HINT),
        );
    }
    Ok(())
}

/// What would be logged for a change at this moment.
#[pg_extern(sql = false, stable)]
fn current_context() -> Option<AnyElement> {
    context::show(|columns| composite::value(c"request_context", columns))
}
