//! A refused attempt: it leaves a line in the server's log, whatever becomes of its transaction, and the person
//! gets an ERROR.

use crate::pg::errors;
use pgrx::prelude::*;

/// What refused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layer {
    /// A trigger on the table.
    Trigger,
    /// An event trigger.
    EventTrigger,
    /// A hook of the preloaded library.
    Hook,
}

/// Refuses `command` on `object`.
pub(crate) fn refuse(
    _layer: Layer,
    _command: &str,
    _object: &str,
    code: PgSqlErrorCode,
    message: &str,
    hint: Option<&str>,
) -> ! {
    errors::raise(code, message, hint)
}
