//! Which field of a row is not as it was sealed.

use super::locate::{self, Found};
use super::store;
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::row::Form;
use pgrx::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A row of audit.leaf_field: field, stored value, commitment, whether it is as sealed.
type Line = (String, Option<String>, Option<String>, Option<bool>);

/// The fields of a row with their commitments, and which of them are as they were sealed; last the row's leaf.
///
/// The leaf is proof. Which field it was rests on a byte per field that is kept beside the leaf: when the leaf does
/// not match, a field that matches may still be another with a chance of 1 in 256.
#[pg_extern(sql = false, stable)]
fn explain_row(
    stream: Option<&str>,
    id: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(field, String),
        name!(stored_value, Option<String>),
        name!(commitment, Option<String>),
        name!(matches, Option<bool>),
    ),
> {
    let (stream, number) = locate::named(stream, id);
    let mut lines = Vec::new();
    let mut texts = BTreeMap::new();
    locate::read(&stream, number, |found, maker, values| {
        if texts.is_empty() {
            texts = store::texts(&stream, &found.rows.schema.number, number);
        }
        let leaf = maker.leaf(&found.rows, found.row, values);
        let sealed = sealed_hints(found);
        lines = fields(found, maker.hints.as_slice(), sealed.as_deref(), &texts);
        for commitment in maker.commitments().filter(|commitment| commitment.form == Form::Member) {
            let Some(field) = found.rows.schema.fields.iter().find(|field| field.no == commitment.field)
            else {
                continue;
            };
            let name = format!("{}.{}", field.name, String::from_utf8_lossy(commitment.key));
            lines.push((name, None, Some(hex(&commitment.hash)), None));
        }
        lines.push(leaf_line(found, leaf));
    });
    TableIterator::new(lines)
}

fn fields(found: &Found, now: &[u8], sealed: Option<&[u8]>, texts: &BTreeMap<String, String>) -> Vec<Line> {
    let fields = found.rows.schema.fields.iter().zip(now).enumerate();
    fields
        .map(|(position, (field, hint))| {
            let matches = sealed.and_then(|sealed| sealed.get(position)).map(|sealed| sealed == hint);
            (field.name.clone(), texts.get(&field.name).cloned(), None, matches)
        })
        .collect()
}

fn leaf_line(found: &Found, leaf: Option<Hash>) -> Line {
    let sealed = found.place.as_ref().and_then(|place| place.seal.hashes().get(place.position + 1));
    let name = found
        .place
        .as_ref()
        .map_or_else(|| "leaf (not sealed yet)".to_owned(), |place| format!("leaf {}", place.leaf_index()));
    let matches = sealed.map(|sealed| leaf.as_ref() == Some(sealed));
    (name, leaf.as_ref().map(hex), sealed.map(hex), matches)
}

/// The hints of a row as they were when it was sealed.
fn sealed_hints(found: &Found) -> Option<Vec<u8>> {
    let place = found.place.as_ref()?;
    let all = store::hints(place.seal.seal_no);
    let widths: BTreeMap<u32, usize> = store::registered_schemas()
        .iter()
        .map(|schema| {
            (schema.schema_no, schema.definition.lines().filter(|line| line.starts_with("field ")).count())
        })
        .collect();
    let rows = place.seal.rows().ok()?;
    let width = |schema: u32| widths.get(&schema).copied().unwrap_or(0);
    let before: usize = rows.iter().take(place.position).map(|row| width(row.schema_no)).sum();
    all.get(before..before + width(place.entry.schema_no)).map(<[u8]>::to_vec)
}

pub(super) fn hex(bytes: &Hash) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
