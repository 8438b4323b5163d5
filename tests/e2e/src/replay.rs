//! Replays a change log from its beginning and compares the outcome with the tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use postgres::{Client, Row};
use serde_json::value::RawValue;

use crate::Result;
use crate::session::PINNED;
use crate::tables::Table;

/// A row's image: column to the exact text of its JSON value.
pub type Image = BTreeMap<String, String>;

/// The contents of one table as the log tells them.
#[derive(Default, Debug, PartialEq)]
struct Contents {
    /// Rows by the name the log gives them.
    named: BTreeMap<String, Image>,
    /// Rows of a table without a key, with how often each occurs.
    counted: BTreeMap<Image, usize>,
}

/// Reads the text of a jsonb object.
pub fn image(text: &str) -> Result<Image> {
    let parsed: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).map_err(|e| format!("{e} in {text:.300}"))?;
    Ok(parsed.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect())
}

/// Replays `audit.audit_log` in the order in which the changes happened and compares every given
/// table with the outcome. Each step is checked too: an insert of a row that is there, or a change
/// of one that is not there or looked otherwise, is an error. Returns the number of log rows.
pub fn compare(client: &mut Client, tables: &[Table]) -> Result<usize> {
    client.batch_execute(PINNED)?;
    let rows = client.query(
        "SELECT operation::text, table_schema, table_name, record_id, old_record_id, old_record::text,
                new_record::text, id FROM audit.audit_log ORDER BY logged_at, id",
        &[],
    )?;
    let mut told: BTreeMap<(String, String), Contents> = BTreeMap::new();
    for row in &rows {
        let contents = told.entry((row.try_get(1)?, row.try_get(2)?)).or_default();
        step(contents, row).map_err(|e| format!("replaying log row {}: {e}", row.get::<_, i64>(7)))?;
    }
    for table in tables {
        let told = told.remove(&(table.schema.to_owned(), table.name.to_owned())).unwrap_or_default();
        let found = read(client, table)?;
        if told != found {
            let mut message = format!("{} differs from its log:\n", table.sql());
            for (id, image) in &told.named {
                if found.named.get(id) != Some(image) {
                    writeln!(message, "{id}: log {image:.600?}\n  table {:.600?}", found.named.get(id))?;
                }
            }
            for id in found.named.keys().filter(|id| !told.named.contains_key(*id)) {
                writeln!(message, "{id}: only in the table")?;
            }
            write!(message, "without key: log {:.900?}\n  table {:.900?}", told.counted, found.counted)?;
            return Err(message.into());
        }
    }
    match told.into_keys().next() {
        Some(name) => Err(format!("log rows of a table nobody named: {name:?}").into()),
        None => Ok(rows.len()),
    }
}

/// Applies one log row.
fn step(contents: &mut Contents, row: &Row) -> Result<()> {
    let (operation, name): (String, Option<String>) = (row.try_get(0)?, row.try_get(3)?);
    let old_name: Option<String> = row.try_get(4)?;
    let old = row.try_get::<_, Option<&str>>(5)?.map(image).transpose()?;
    let new = row.try_get::<_, Option<&str>>(6)?.map(image).transpose()?;
    match (operation.as_str(), old, new) {
        ("TRUNCATE", None, None) => *contents = Contents::default(),
        ("INSERT", None, Some(new)) => put(contents, name, new)?,
        // TRUNCATE may tell the rows it took away, before the one that says that all are gone.
        ("DELETE" | "TRUNCATE", Some(old), None) => {
            let was = take(contents, name, &old)?;
            if was != old {
                return Err(format!("{operation} of {old:.900?}\nbut it was {was:.900?}").into());
            }
        }
        ("UPDATE", Some(old), Some(new)) => {
            // Without a key the new image must be whole; the old one then is it with the old fields.
            let mut whole = new.clone();
            whole.extend(old.clone());
            let mut row = take(contents, old_name.or_else(|| name.clone()), &whole)?;
            for (field, value) in &old {
                if row.get(field) != Some(value) {
                    return Err(format!("{field} was {:.900?}, not {value:.900}", row.get(field)).into());
                }
            }
            row.extend(new);
            put(contents, name, row)?;
        }
        (operation, old, new) => {
            return Err(format!("{operation} with old {} new {}", old.is_some(), new.is_some()).into());
        }
    }
    Ok(())
}

fn put(contents: &mut Contents, name: Option<String>, image: Image) -> Result<()> {
    match name {
        Some(name) => match contents.named.insert(name.clone(), image) {
            Some(_) => return Err(format!("{name} is there already").into()),
            None => return Ok(()),
        },
        None => *contents.counted.entry(image).or_default() += 1,
    }
    Ok(())
}

fn take(contents: &mut Contents, name: Option<String>, image: &Image) -> Result<Image> {
    let Some(name) = name else {
        let count = contents.counted.get_mut(image).ok_or("no such row")?;
        *count -= 1;
        if *count == 0 {
            contents.counted.remove(image);
        }
        return Ok(image.clone());
    };
    contents.named.remove(&name).ok_or_else(|| format!("{name} is not there").into())
}

/// The contents of a table as the server has them, named and hidden as the log should.
fn read(client: &mut Client, table: &Table) -> Result<Contents> {
    let mut contents = Contents::default();
    for row in client.query(&format!("SELECT to_jsonb(t)::text FROM {} AS t", table.sql()), &[])? {
        let mut found = image(row.try_get(0)?)?;
        found.retain(|name, _| !table.exclude.contains(&name.as_str()));
        for name in table.mask {
            found.insert((*name).to_owned(), "null".to_owned());
        }
        let parts: Option<Vec<&String>> = table.key.iter().map(|column| found.get(column.name)).collect();
        let name = match parts.ok_or("a key column is missing")?.as_slice() {
            [] => None,
            // A number is its own text, a string is written without its quotes.
            [one] => Some(serde_json::from_str::<String>(one).unwrap_or_else(|_| (*one).clone())),
            several => {
                Some(format!("[{}]", several.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(",")))
            }
        };
        put(&mut contents, name, found)?;
    }
    Ok(contents)
}
