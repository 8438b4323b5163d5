//! A column as an option remembers it.

use std::fmt;

/// The number of a reference to a column that no longer exists under this name: it was dropped or renamed. Such a
/// reference still hides whatever column gets the name later, on any table.
pub const GONE: i16 = 0;

/// A column named by an option: by its name, and by the place it had when tracking was enabled.
///
/// The text form is `name#attnum@relid`, read from the right, so that the name may itself hold `#` and `@`.
/// The suffix is optional and so is each number in it; a text without a suffix is a bare name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// The name; never empty when it was parsed.
    pub name: String,
    /// The number of the column in its table, or [`GONE`].
    pub attnum: Option<i16>,
    /// The table on which tracking was enabled. A hint only: it means nothing after a restore.
    pub relid: Option<u32>,
}

impl ColumnRef {
    /// A reference by name alone, as a trigger written by hand has it.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), attnum: None, relid: None }
    }

    /// Reads the text form. Every text is one: what is not a suffix belongs to the name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        suffixed(text).unwrap_or_else(|| Self::named(text))
    }
}

impl fmt::Display for ColumnRef {
    /// Writes the text form, which [`ColumnRef::parse`] reads back to an equal value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        // A bare name that looks as if it had a suffix gets an empty one, or it would be read as something
        // else.
        if self.attnum.is_none() && self.relid.is_none() && suffixed(&self.name).is_none() {
            return Ok(());
        }
        f.write_str("#")?;
        if let Some(attnum) = self.attnum {
            write!(f, "{attnum}")?;
        }
        f.write_str("@")?;
        if let Some(relid) = self.relid {
            write!(f, "{relid}")?;
        }
        Ok(())
    }
}

/// Splits `name#attnum@relid` from the right; `None` when the text does not end in a well-formed suffix.
fn suffixed(text: &str) -> Option<ColumnRef> {
    let (rest, relid) = text.rsplit_once('@')?;
    let (name, attnum) = rest.rsplit_once('#')?;
    // No column has an empty name, so here the whole text is one.
    if name.is_empty() {
        return None;
    }
    Some(ColumnRef { name: name.to_owned(), attnum: number(attnum)?, relid: number(relid)? })
}

/// An absent number, or one in the only spelling that [`ColumnRef`] writes (no sign `+`, no leading zeros).
fn number<T: std::str::FromStr + fmt::Display>(text: &str) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(Some(number))
}
