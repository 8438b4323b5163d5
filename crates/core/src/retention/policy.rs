//! The policy of one protected table, as it stands in the arguments of its trigger.

use crate::options::ColumnRef;
use std::fmt;

const RETENTION: &str = "retention";
const TIMESTAMP: &str = "timestamp";

/// How long rows stay, and which column says how old they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// An interval as text; the server reads it.
    pub retention: String,
    /// The column that holds a row's time.
    pub timestamp: ColumnRef,
}

/// Why arguments are no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyError {
    /// An argument that is not known, or is given twice.
    Unexpected(String),
    /// An argument that is missing or empty.
    Missing(&'static str),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(argument) => write!(f, "unexpected argument \"{argument}\""),
            Self::Missing(name) => write!(f, "argument \"{name}\" is missing"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Reads trigger arguments in any order.
    ///
    /// # Errors
    ///
    /// Exactly one `retention=` and one `timestamp=` must be there, and nothing else: a policy that is read
    /// in part could let rows go that must stay.
    pub fn parse<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, PolicyError> {
        let (mut retention, mut timestamp) = (None, None);
        for arg in args {
            let slot = match arg.split_once('=') {
                Some((RETENTION, value)) => retention.replace(value),
                Some((TIMESTAMP, value)) => timestamp.replace(value),
                _ => Some(""),
            };
            if slot.is_some() {
                return Err(PolicyError::Unexpected(arg.to_owned()));
            }
        }
        let present = |value: Option<&'a str>, name| {
            value.filter(|value| !value.is_empty()).ok_or(PolicyError::Missing(name))
        };
        Ok(Self {
            retention: present(retention, RETENTION)?.to_owned(),
            timestamp: ColumnRef::parse(present(timestamp, TIMESTAMP)?),
        })
    }

    /// Writes the arguments that [`parse`](Self::parse) reads back to an equal value.
    #[must_use]
    pub fn to_args(&self) -> [String; 2] {
        [format!("{RETENTION}={}", self.retention), format!("{TIMESTAMP}={}", self.timestamp)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back_in_any_order() {
        let policy =
            Policy { retention: "P7Y".to_owned(), timestamp: ColumnRef::parse("created_at#3@16444") };
        assert_eq!(policy.timestamp.name, "created_at");
        let args = policy.to_args();
        assert_eq!(Policy::parse(args.iter().map(String::as_str)), Ok(policy.clone()));
        assert_eq!(Policy::parse(args.iter().rev().map(String::as_str)), Ok(policy));
    }

    #[test]
    fn a_policy_is_read_whole_or_not_at_all() {
        assert_eq!(Policy::parse([]), Err(PolicyError::Missing("retention")));
        assert_eq!(Policy::parse(["retention=P1D"]), Err(PolicyError::Missing("timestamp")));
        assert_eq!(Policy::parse(["retention=", "timestamp=a"]), Err(PolicyError::Missing("retention")));
        for extra in ["retention=P2D", "grace=1", "timestamp"] {
            let args = ["retention=P1D", "timestamp=a", extra];
            assert_eq!(Policy::parse(args), Err(PolicyError::Unexpected(extra.to_owned())));
        }
    }
}
