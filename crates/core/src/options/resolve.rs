//! Which columns of a table an option means today.

use super::{ColumnRef, column::GONE};

/// A column of the table as the catalogue has it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveColumn<'a> {
    /// The number of the column, which survives a rename and is never used again after a drop.
    pub attnum: i16,
    /// The name; of a dropped column it means nothing.
    pub name: &'a str,
    /// Whether the column was dropped.
    pub dropped: bool,
}

/// The outcome of [`resolve`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Numbers of the columns meant, ascending, each once.
    pub attnums: Vec<i16>,
    /// Names of the references that found nothing and are not known to be gone, in the order given.
    ///
    /// When this is not empty nobody knows what had to be hidden: the caller should hide all it can.
    pub unresolved: Vec<String>,
}

/// Resolves a list of columns to hide, erring towards hiding.
///
/// A reference means every live column with its name and, when it was made on the table `relid`, also the
/// live column with its number. So a column stays hidden when it is renamed (the number finds it), when it is
/// dropped and added again (the name finds it), and when two columns swap names (both are hidden then).
///
/// A reference that finds nothing is unresolved, unless its column is known to be gone, because it was made on
/// this very table and the column is dropped, or because it says so itself ([`GONE`]): then there is nothing
/// left to hide.
///
/// `relid` is the table on which tracking was enabled and `columns` are that table's, dropped ones included.
/// A partition numbers its columns differently: resolve on the tracked table, then go by name.
#[must_use]
pub fn resolve(refs: &[ColumnRef], columns: &[LiveColumn<'_>], relid: u32) -> Resolved {
    let mut resolved = Resolved::default();
    for wanted in refs {
        let attnum = known_attnum(wanted, relid);
        let before = resolved.attnums.len();
        let meant =
            columns.iter().filter(|c| !c.dropped && (c.name == wanted.name || Some(c.attnum) == attnum));
        resolved.attnums.extend(meant.map(|c| c.attnum));
        let found = resolved.attnums.len() > before;
        let gone =
            || wanted.attnum == Some(GONE) || columns.iter().any(|c| c.dropped && Some(c.attnum) == attnum);
        if !found && !gone() {
            resolved.unresolved.push(wanted.name.clone());
        }
    }
    resolved.attnums.sort_unstable();
    resolved.attnums.dedup();
    resolved
}

/// Resolves a reference that must mean one column, such as the tenant's.
///
/// The column with its number wins when the reference was made on the table `relid`, because it follows a
/// rename or a swap; else the live column with its name. `None` when neither exists.
#[must_use]
pub fn resolve_one(wanted: &ColumnRef, columns: &[LiveColumn<'_>], relid: u32) -> Option<i16> {
    let attnum = known_attnum(wanted, relid);
    let live = || columns.iter().filter(|c| !c.dropped);
    live()
        .find(|c| Some(c.attnum) == attnum)
        .or_else(|| live().find(|c| c.name == wanted.name))
        .map(|c| c.attnum)
}

/// The number of a reference, if numbers of the table `relid` are what it holds.
fn known_attnum(wanted: &ColumnRef, relid: u32) -> Option<i16> {
    if wanted.relid == Some(relid) { wanted.attnum } else { None }
}
