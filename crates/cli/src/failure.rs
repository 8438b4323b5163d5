//! Why the command did not do what it was asked, and the exit codes.

use std::fmt;
use std::path::Path;

/// What the command leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything asked was done; whatever was checked is intact.
    Intact,
    /// Evidence of tampering.
    Tampered,
    /// A wrong argument, a file that is not there, no connection.
    Usage,
    /// Something could not be checked.
    Unchecked,
}

impl Exit {
    /// The number for the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Intact => 0,
            Exit::Tampered => 1,
            Exit::Usage => 2,
            Exit::Unchecked => 3,
        }
    }
}

/// An error with the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// Whether it is about the connection, so that trying again may help.
    pub(crate) is_connection: bool,
}

/// What functions here return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A mistake in what was asked.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), is_connection: false }
    }

    /// What is there could not be understood, so nothing can be said about it.
    pub(crate) fn unchecked(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unchecked, message: message.into(), is_connection: false }
    }

    /// Evidence of tampering.
    pub(crate) fn tampered(message: impl Into<String>) -> Self {
        Self { exit: Exit::Tampered, message: message.into(), is_connection: false }
    }

    /// No connection, or none any more.
    pub(crate) fn connection(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), is_connection: true }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::usage(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            let mut message = format!("{}: {} ({})", db.severity(), db.message(), db.code().code());
            if let Some(hint) = db.hint() {
                message.push_str(&format!("\nHINT:  {hint}"));
            }
            // 08 connection, 57P the server ends or starts, 53 no room: it may be different in a while.
            let class = db.code().code();
            let passes = ["08", "57P", "53"].iter().any(|prefix| class.starts_with(prefix));
            return Self { exit: Exit::Usage, message, is_connection: passes };
        }
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            let inner_text = inner.to_string();
            if !message.contains(&inner_text) {
                message.push_str(&format!(": {inner_text}"));
            }
            source = inner.source();
        }
        Self::connection(message)
    }
}
