//! Options of one tracked table, as they stand in the arguments of its trigger.
//!
//! One argument holds one option, and an option that has its default value is not written. `pg_dump` carries
//! trigger arguments, so they are the only place where options are kept.

mod column;
mod error;
mod renew;
mod resolve;

use std::fmt;
use std::str::FromStr;

pub use column::{ColumnRef, GONE};
pub use error::OptionError;
pub use renew::Rename;
pub use resolve::{LiveColumn, Resolved, resolve, resolve_one};

const EXCLUDE: &str = "exclude";
const MASK: &str = "mask";
const TENANT: &str = "tenant";
const DETAIL: &str = "detail";
const LOG_TRUNCATED_ROWS: &str = "log_truncated_rows";
const PHI: &str = "phi";

/// How much of an UPDATE is stored. INSERT and DELETE always store the whole row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// The whole row before and after.
    #[default]
    Full,
    /// The whole row after, and of the row before only what changed.
    Delta,
    /// Of both rows only what changed.
    Changed,
}

impl Detail {
    /// The word that stands for this level in SQL and in trigger arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delta => "delta",
            Self::Changed => "changed",
        }
    }
}

impl FromStr for Detail {
    type Err = OptionError;

    /// Accepts exactly `full`, `delta` and `changed`; anything else is [`OptionError::UnknownDetail`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "full" => Ok(Self::Full),
            "delta" => Ok(Self::Delta),
            "changed" => Ok(Self::Changed),
            _ => Err(OptionError::UnknownDetail { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that can be chosen when tracking of a table is enabled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrackingOptions {
    /// Columns that are left out of the log altogether.
    pub exclude: Vec<ColumnRef>,
    /// Columns of which the log says that they changed, but not what they hold.
    pub mask: Vec<ColumnRef>,
    /// The column that names the tenant of a row.
    pub tenant: Option<ColumnRef>,
    /// How much of an UPDATE is stored.
    pub detail: Detail,
    /// Whether TRUNCATE logs each row it removes, rather than one row in all.
    pub log_truncated_rows: bool,
    /// Whether every change of this table counts as access to health data.
    pub phi: bool,
}

impl TrackingOptions {
    /// Reads trigger arguments in any order.
    ///
    /// # Errors
    ///
    /// An argument that is not understood is an error and never skipped: a misspelt `exclude` would otherwise
    /// log what somebody meant to hide. The same holds for a single-valued option that is given twice.
    pub fn parse<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        let mut detail = None;
        for arg in args {
            let (key, value) = match arg.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (arg, None),
            };
            match key {
                EXCLUDE => options.exclude.push(column(EXCLUDE, value)?),
                MASK => options.mask.push(column(MASK, value)?),
                TENANT => once(TENANT, &mut options.tenant, column(TENANT, value)?)?,
                DETAIL => once(DETAIL, &mut detail, required(DETAIL, value)?.parse()?)?,
                LOG_TRUNCATED_ROWS => options.log_truncated_rows |= flag(LOG_TRUNCATED_ROWS, value)?,
                PHI => options.phi |= flag(PHI, value)?,
                _ => return Err(OptionError::UnknownOption { argument: arg.to_owned() }),
            }
        }
        options.detail = detail.unwrap_or_default();
        Ok(options)
    }

    /// Writes the arguments that [`parse`](Self::parse) reads back to an equal value. Defaults are not
    /// written.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let hidden = |key: &'static str, refs: &[ColumnRef]| -> Vec<String> {
            refs.iter().map(|column| format!("{key}={column}")).collect()
        };
        let mut args = hidden(EXCLUDE, &self.exclude);
        args.extend(hidden(MASK, &self.mask));
        args.extend(self.tenant.iter().map(|column| format!("{TENANT}={column}")));
        if self.detail != Detail::default() {
            args.push(format!("{DETAIL}={}", self.detail));
        }
        if self.log_truncated_rows {
            args.push(LOG_TRUNCATED_ROWS.to_owned());
        }
        if self.phi {
            args.push(PHI.to_owned());
        }
        args
    }
}

fn required<'a>(option: &'static str, value: Option<&'a str>) -> Result<&'a str, OptionError> {
    value.ok_or(OptionError::MissingValue { option })
}

fn column(option: &'static str, value: Option<&str>) -> Result<ColumnRef, OptionError> {
    match required(option, value)? {
        "" => Err(OptionError::MissingValue { option }),
        text => Ok(ColumnRef::parse(text)),
    }
}

fn flag(option: &'static str, value: Option<&str>) -> Result<bool, OptionError> {
    if value.is_some() { Err(OptionError::UnexpectedValue { option }) } else { Ok(true) }
}

fn once<T>(option: &'static str, slot: &mut Option<T>, value: T) -> Result<(), OptionError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(OptionError::Repeated { option }),
    }
}
