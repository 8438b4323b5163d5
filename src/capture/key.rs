//! The text that stands for a record's key: `image ->> column`, or a JSON array for several columns.

use super::plan::{KEEP, KeyColumn, Plan};
use crate::pg::buffer::{Buffer, write_varlena};
use crate::pg::jsonb::kind;
use crate::pg::tuple::Values;
use audit_guard_core::record_key::{KeyPart, encode_composite};
use pgrx::pg_sys::Datum;

/// Writes the key of a row as a text datum into `out`; None for a table without a key.
pub(super) fn write(
    plan: &Plan,
    values: &Values,
    text: &mut Vec<u8>,
    json: &mut Buffer,
    out: &mut Buffer,
) -> Option<Datum> {
    text.clear();
    match plan.key.as_slice() {
        [] => return None,
        [part] => {
            json.clear(KEEP);
            part.encoder.text(values.get(part.position)?, json, text);
        }
        parts => {
            let key = composite(parts, |part| values.get(part.position), json);
            text.extend_from_slice(key.as_bytes());
        }
    }
    out.clear(KEEP);
    write_varlena(out, text);
    Some(out.datum())
}

/// The key of several columns as a compact JSON array.
pub(super) fn composite<'a>(
    parts: &'a [KeyColumn],
    value_of: impl Fn(&'a KeyColumn) -> Option<Datum>,
    json: &mut Buffer,
) -> String {
    let texts: Vec<(u32, String)> = parts
        .iter()
        .map(|part| {
            let Some(value) = value_of(part) else { return (kind::NULL, String::new()) };
            json.clear(KEEP);
            let kind = part.encoder.kind_of(value, json);
            json.clear(KEEP);
            let mut text = Vec::new();
            part.encoder.text(value, json, &mut text);
            (kind, String::from_utf8_lossy(&text).into_owned())
        })
        .collect();
    let parts: Vec<KeyPart<'_>> = texts
        .iter()
        .map(|(kind, text)| match *kind {
            kind::NULL => KeyPart::Null,
            kind::TRUE => KeyPart::Bool(true),
            kind::FALSE => KeyPart::Bool(false),
            kind::NUMERIC => KeyPart::Number(text),
            kind::CONTAINER => KeyPart::Json(text),
            _ => KeyPart::Text(text),
        })
        .collect();
    let mut key = String::new();
    encode_composite(&parts, &mut key);
    key
}
