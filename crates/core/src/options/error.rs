//! What can be wrong with the arguments of a tracking trigger.

use std::fmt;

/// Why the arguments of a tracking trigger were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionError {
    /// No option has this name.
    UnknownOption {
        /// The whole argument.
        argument: String,
    },
    /// An option that needs a value has none.
    MissingValue {
        /// The option's name.
        option: &'static str,
    },
    /// An option that is written as a bare word was given a value.
    UnexpectedValue {
        /// The option's name.
        option: &'static str,
    },
    /// An option that has one value was given twice.
    Repeated {
        /// The option's name.
        option: &'static str,
    },
    /// The level of detail is none of the three that exist.
    UnknownDetail {
        /// What was written instead.
        found: String,
    },
}

impl OptionError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownOption { .. } => {
                "Options are exclude=column, mask=column, tenant=column, detail=full, detail=delta, \
                 detail=changed, log_truncated_rows and phi."
                    .to_owned()
            }
            Self::MissingValue { option: "detail" } | Self::UnknownDetail { .. } => {
                "Detail is full, delta or changed.".to_owned()
            }
            Self::MissingValue { option } => format!("Write {option}=column."),
            Self::UnexpectedValue { option } => format!("Write {option} alone, or leave it out."),
            Self::Repeated { option } => format!("Give {option} once."),
        })
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption { argument } => write!(f, "unknown tracking option \"{argument}\""),
            Self::MissingValue { option } => write!(f, "tracking option {option} needs a value"),
            Self::UnexpectedValue { option } => write!(f, "tracking option {option} takes no value"),
            Self::Repeated { option } => write!(f, "tracking option {option} is given twice"),
            Self::UnknownDetail { found } => write!(f, "unknown detail \"{found}\""),
        }
    }
}

impl std::error::Error for OptionError {}
