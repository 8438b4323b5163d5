//! The images of a row: JSON objects of its logged columns.

use super::plan::{KEEP, Plan, PlanColumn};
use crate::pg::buffer::Buffer;
use crate::pg::jsonb::{Frame, ObjectWriter, Value};
use crate::pg::tuple::Values;
use pgrx::pg_sys::Datum;

/// Memory for the two images and the list of changed fields.
#[derive(Default)]
pub(super) struct Images {
    old: Buffer,
    new: Buffer,
    /// Where each column's value stands in the new image.
    places: Vec<Value>,
    frame: Frame,
    fields: Buffer,
}

/// Bytes of the header of a one-dimensional array without nulls: length, dimensions, offset, element type,
/// size, lower bound.
const ARRAY_HEADER: usize = 24;

impl Images {
    pub(super) fn whole_new(&mut self, plan: &Plan, values: &Values) -> Datum {
        self.places.resize(plan.columns.len(), Value::NULL);
        self.new.clear(KEEP);
        let mut object = ObjectWriter::begin(&mut self.new, &plan.frame);
        for &index in &plan.order {
            let column = &plan.columns[index];
            self.places[index] = object.value(|buffer| encode(column, values, buffer));
        }
        object.finish();
        self.new.datum()
    }

    pub(super) fn whole_old(&mut self, plan: &Plan, values: &Values) -> Datum {
        self.old.clear(KEEP);
        let mut object = ObjectWriter::begin(&mut self.old, &plan.frame);
        for &index in &plan.order {
            object.value(|buffer| encode(&plan.columns[index], values, buffer));
        }
        object.finish();
        self.old.datum()
    }

    /// The old image of an UPDATE whose new image has been made: what did not change is copied from there.
    pub(super) fn whole_old_beside_new(&mut self, plan: &Plan, values: &Values, changed: &[bool]) -> Datum {
        self.old.clear(KEEP);
        let mut object = ObjectWriter::begin(&mut self.old, &plan.frame);
        for &index in &plan.order {
            if changed[index] {
                object.value(|buffer| encode(&plan.columns[index], values, buffer));
            } else {
                object.copy(&self.new, self.places[index]);
            }
        }
        object.finish();
        self.old.datum()
    }

    pub(super) fn changed_new(&mut self, plan: &Plan, values: &Values, changed: &[bool]) -> Datum {
        write_changed(&mut self.new, &mut self.frame, plan, values, changed);
        self.new.datum()
    }

    pub(super) fn changed_old(&mut self, plan: &Plan, values: &Values, changed: &[bool]) -> Datum {
        write_changed(&mut self.old, &mut self.frame, plan, values, changed);
        self.old.datum()
    }

    /// The names of the changed columns as `text[]`, in the table's order.
    pub(super) fn changed_fields(&mut self, plan: &Plan, changed: &[bool]) -> Datum {
        let count = changed.iter().filter(|&&differs| differs).count();
        let buffer = &mut self.fields;
        buffer.clear(KEEP);
        buffer.push_zeros(ARRAY_HEADER);
        let text = pgrx::pg_sys::TEXTOID.to_u32();
        for (at, word) in [(4, 1), (8, 0), (12, text), (16, count as u32), (20, 1)] {
            buffer.put_u32(at, word);
        }
        for (column, _) in plan.columns.iter().zip(changed).filter(|(_, differs)| **differs) {
            buffer.align4();
            buffer.push(&column.array_element);
        }
        buffer.set_varlena_length();
        buffer.datum()
    }
}

/// Writes an object of the changed columns only.
fn write_changed(buffer: &mut Buffer, frame: &mut Frame, plan: &Plan, values: &Values, changed: &[bool]) {
    let chosen = || plan.order.iter().filter(|&&index| changed[index]).map(|&index| &plan.columns[index]);
    frame.fill(|| chosen().map(|column| column.column.name_bytes.as_slice()));
    buffer.clear(KEEP);
    let mut object = ObjectWriter::begin(buffer, frame);
    for column in chosen() {
        object.value(|buffer| encode(column, values, buffer));
    }
    object.finish();
}

#[inline]
fn encode(column: &PlanColumn, values: &Values, buffer: &mut Buffer) -> Value {
    match values.get(column.position) {
        Some(value) if !column.masked => column.encoder.encode(value, buffer),
        _ => Value::NULL,
    }
}
