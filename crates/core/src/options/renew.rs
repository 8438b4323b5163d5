//! Options brought up to date after the columns of their table were renamed or dropped.

use super::{ColumnRef, GONE, LiveColumn, TrackingOptions};

/// A column that was just renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rename<'a> {
    /// The name before.
    pub from: &'a str,
    /// The name now.
    pub to: &'a str,
}

impl TrackingOptions {
    /// The same options with the present names and numbers of the columns of the table `relid`.
    ///
    /// Numbers mean nothing after a dump and restore, names nothing after a rename, so both are renewed as long
    /// as both are known. A name that a hidden column once had stays hidden ([`GONE`]), because a migration may
    /// fill a new column of that name with what the old one held. What cannot be found is left as it is.
    #[must_use]
    pub fn renewed(&self, columns: &[LiveColumn<'_>], relid: u32, rename: Option<Rename<'_>>) -> Self {
        let renew = Renewal { columns, relid, rename };
        Self {
            exclude: renew.hidden(&self.exclude),
            mask: renew.hidden(&self.mask),
            tenant: self.tenant.as_ref().map(|wanted| renew.single(wanted)),
            ..self.clone()
        }
    }
}

struct Renewal<'a> {
    columns: &'a [LiveColumn<'a>],
    relid: u32,
    rename: Option<Rename<'a>>,
}

impl Renewal<'_> {
    fn hidden(&self, refs: &[ColumnRef]) -> Vec<ColumnRef> {
        let mut renewed: Vec<ColumnRef> = vec![];
        for wanted in refs {
            for column in self.hide(wanted) {
                if !renewed.contains(&column) {
                    renewed.push(column);
                }
            }
        }
        renewed
    }

    /// All that one reference hides now, and the name that it must go on hiding.
    fn hide(&self, wanted: &ColumnRef) -> Vec<ColumnRef> {
        let numbered = self.numbered(wanted);
        let named = self.named(&wanted.name);
        let renamed = self.renamed(wanted);
        let is_gone = numbered.is_some() || renamed.is_some() || self.is_known_gone(wanted);
        let mut hidden: Vec<ColumnRef> =
            [numbered, renamed].into_iter().flatten().map(|column| self.reference(column)).collect();
        match named {
            Some(column) => hidden.push(self.reference(column)),
            None if is_gone => hidden.push(ColumnRef {
                name: wanted.name.clone(),
                attnum: Some(GONE),
                relid: Some(self.relid),
            }),
            None => hidden.push(wanted.clone()),
        }
        hidden
    }

    /// The one column that a reference means now.
    fn single(&self, wanted: &ColumnRef) -> ColumnRef {
        self.numbered(wanted)
            .or_else(|| self.named(&wanted.name))
            .or_else(|| self.renamed(wanted))
            .map_or_else(|| wanted.clone(), |column| self.reference(column))
    }

    fn numbered(&self, wanted: &ColumnRef) -> Option<&LiveColumn<'_>> {
        let attnum = self.attnum(wanted)?;
        self.columns.iter().find(|column| !column.dropped && column.attnum == attnum)
    }

    fn named(&self, name: &str) -> Option<&LiveColumn<'_>> {
        self.columns.iter().find(|column| !column.dropped && column.name == name)
    }

    /// The column that was just renamed, for a reference that knows it by its name only.
    fn renamed(&self, wanted: &ColumnRef) -> Option<&LiveColumn<'_>> {
        let rename = self.rename.filter(|rename| rename.from == wanted.name)?;
        if self.attnum(wanted).is_some() { None } else { self.named(rename.to) }
    }

    fn is_known_gone(&self, wanted: &ColumnRef) -> bool {
        let attnum = self.attnum(wanted);
        wanted.attnum == Some(GONE)
            || self.columns.iter().any(|column| column.dropped && Some(column.attnum) == attnum)
    }

    /// The number of a reference, if numbers of this table are what it holds.
    fn attnum(&self, wanted: &ColumnRef) -> Option<i16> {
        wanted.attnum.filter(|&attnum| wanted.relid == Some(self.relid) && attnum != GONE)
    }

    fn reference(&self, column: &LiveColumn<'_>) -> ColumnRef {
        ColumnRef { name: column.name.to_owned(), attnum: Some(column.attnum), relid: Some(self.relid) }
    }
}
