//! Errors as a user sees them: SQLSTATE, message, and a hint that says what to do.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Raises an ERROR. A hint is a command or a setting wherever there is one.
pub(crate) fn raise(code: PgSqlErrorCode, message: &str, hint: Option<&str>) -> ! {
    let mut report = ErrorReport::new(code, message.to_owned(), "audit_guard");
    if let Some(hint) = hint {
        report = report.set_hint(hint.to_owned());
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Reports a WARNING; the statement goes on.
pub(crate) fn warn(code: PgSqlErrorCode, message: &str, hint: Option<&str>) {
    let mut report = ErrorReport::new(code, message.to_owned(), "audit_guard");
    if let Some(hint) = hint {
        report = report.set_hint(hint.to_owned());
    }
    report.report(PgLogLevel::WARNING);
}
