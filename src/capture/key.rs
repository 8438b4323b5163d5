//! The text that stands for a record's key: `image ->> column`, or a JSON array for several columns.

use super::plan::{KEEP, KeyColumn};
use crate::pg::buffer::{Buffer, write_varlena};
use crate::pg::jsonb::kind;
use audit_guard_core::record_key::{KeyPart, fit, push_part};
use pgrx::pg_sys::Datum;

/// Memory that is reused from key to key.
#[derive(Default)]
pub(super) struct KeyWriter {
    text: Vec<u8>,
    json: Buffer,
    composite: String,
}

impl KeyWriter {
    /// Writes the text of a column as a text datum into `out`; None when it is null.
    pub(super) fn write_text(
        &mut self,
        column: &KeyColumn,
        value: Option<Datum>,
        out: &mut Buffer,
    ) -> Option<Datum> {
        self.render(column, value?);
        out.clear(KEEP);
        write_varlena(out, &self.text);
        Some(out.datum())
    }

    /// Writes the key of a row as a text datum into `out`; None for a table without a key.
    pub(super) fn write_key(
        &mut self,
        columns: &[KeyColumn],
        value_of: impl Fn(&KeyColumn) -> Option<Datum>,
        out: &mut Buffer,
    ) -> Option<Datum> {
        let key = match columns {
            [] => return None,
            [column] => self.single(column, value_of(column)?),
            columns => self.composite(columns, value_of).as_bytes(),
        };
        out.clear(KEEP);
        write_varlena(out, &fit(key));
        Some(out.datum())
    }

    /// The text of one column's value.
    pub(super) fn single(&mut self, column: &KeyColumn, value: Datum) -> &[u8] {
        self.render(column, value);
        &self.text
    }

    /// The key of several columns as a compact JSON array.
    pub(super) fn composite(
        &mut self,
        columns: &[KeyColumn],
        value_of: impl Fn(&KeyColumn) -> Option<Datum>,
    ) -> &str {
        self.composite.clear();
        for column in columns {
            self.composite.push(if self.composite.is_empty() { '[' } else { ',' });
            match value_of(column) {
                Some(value) => {
                    let kind = self.render(column, value);
                    let text = String::from_utf8_lossy(&self.text);
                    let part = match kind {
                        kind::TRUE => KeyPart::Bool(true),
                        kind::FALSE => KeyPart::Bool(false),
                        kind::NUMERIC => KeyPart::Number(&text),
                        kind::CONTAINER => KeyPart::Json(&text),
                        _ => KeyPart::Text(&text),
                    };
                    push_part(part, &mut self.composite);
                }
                None => push_part(KeyPart::Null, &mut self.composite),
            }
        }
        self.composite.push(']');
        &self.composite
    }

    fn render(&mut self, column: &KeyColumn, value: Datum) -> u32 {
        self.text.clear();
        self.json.clear(KEEP);
        column.encoder.text(value, &mut self.json, &mut self.text)
    }
}
