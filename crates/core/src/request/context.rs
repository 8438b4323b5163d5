//! The context an application declares itself.

use std::fmt;

use serde_json::{Map, Value};

/// Keys of the context that only the server may write.
pub const RESERVED_CONTEXT_KEYS: [&str; 10] = [
    "session_role",
    "effective_role",
    "login_identity",
    "jwt_sub",
    "malformed",
    "restore",
    "partition",
    "imported_from",
    "original_id",
    "original_transaction_id",
];

/// The key under which applications keep what is their own.
const APP: &str = "app";

/// Why a declared context was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextError {
    /// It uses a key that only the server may write.
    ReservedKey {
        /// The key.
        key: &'static str,
    },
}

impl ContextError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ReservedKey { key } => {
                Some(format!("Put it under \"{APP}\": {{\"{APP}\": {{\"{key}\": ...}}}}"))
            }
        }
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedKey { key } => write!(f, "context key \"{key}\" is written by the server only"),
        }
    }
}

impl std::error::Error for ContextError {}

/// Checks that a declared context uses none of [`RESERVED_CONTEXT_KEYS`] at its top level.
///
/// # Errors
///
/// [`ContextError::ReservedKey`] names the first reserved key, in the order of that list.
pub fn check_declared_context(declared: &Map<String, Value>) -> Result<(), ContextError> {
    match RESERVED_CONTEXT_KEYS.into_iter().find(|key| declared.contains_key(*key)) {
        Some(key) => Err(ContextError::ReservedKey { key }),
        None => Ok(()),
    }
}

/// Adds what was declared later to what was declared before.
///
/// A later key replaces an earlier one of the same name. Only `app`, when both are objects, keeps the earlier
/// keys beside the later ones, one level deep.
pub fn merge(earlier: &mut Map<String, Value>, later: Map<String, Value>) {
    for (key, value) in later {
        match (earlier.get_mut(&key), value) {
            (Some(Value::Object(kept)), Value::Object(added)) if key == APP => kept.extend(added),
            (_, value) => {
                earlier.insert(key, value);
            }
        }
    }
}
