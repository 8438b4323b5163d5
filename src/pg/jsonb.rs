//! The server's binary form of a JSON object, written directly.
//!
//! An object is a header word, one entry word for each key and each value, then the bytes: keys by length and
//! then by bytes, values in the order of their keys. An entry holds the length of its bytes; every 32nd holds
//! the end offset instead, so that a reader can find its place. Byte for byte what `to_jsonb` makes; a test
//! compares.

use super::buffer::Buffer;
use super::{errors, relation};
use pgrx::prelude::*;
use std::cell::Cell;

/// The type bits of an entry word.
pub(crate) mod kind {
    pub(crate) const STRING: u32 = 0x0000_0000;
    pub(crate) const NUMERIC: u32 = 0x1000_0000;
    pub(crate) const FALSE: u32 = 0x2000_0000;
    pub(crate) const TRUE: u32 = 0x3000_0000;
    pub(crate) const NULL: u32 = 0x4000_0000;
    pub(crate) const CONTAINER: u32 = 0x5000_0000;
    pub(crate) const MASK: u32 = 0x7000_0000;
}

const HAS_OFFSET: u32 = 0x8000_0000;
const LENGTH_MASK: u32 = 0x0FFF_FFFF;
const OFFSET_STRIDE: usize = 32;
const IS_OBJECT: u32 = 0x2000_0000;
/// Flag of a container that only wraps one scalar.
pub(crate) const IS_SCALAR: u32 = 0x1000_0000;

/// Bytes of the varlena header before an object.
const VARLENA_HEADER: usize = 4;

/// Where a value's bytes are in the object's buffer, and what they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Value {
    pub(crate) kind: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Value {
    pub(crate) const NULL: Self = Self { kind: kind::NULL, start: 0, end: 0 };

    /// Whether the bytes must begin on a multiple of four.
    fn is_aligned(self) -> bool {
        matches!(self.kind, kind::NUMERIC | kind::CONTAINER)
    }
}

/// Everything of an object that does not depend on its values.
#[derive(Default)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    keys: usize,
    key_bytes: usize,
}

impl Frame {
    /// The frame of an object with these keys, which `keys` lists in the server's order each time it is asked.
    pub(crate) fn new<'a, K: Iterator<Item = &'a [u8]>>(keys: impl Fn() -> K) -> Self {
        let mut frame = Self::default();
        frame.fill(keys);
        frame
    }

    /// Makes this the frame of another object, reusing the memory.
    pub(crate) fn fill<'a, K: Iterator<Item = &'a [u8]>>(&mut self, keys: impl Fn() -> K) {
        self.keys = keys().count();
        self.key_bytes = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; VARLENA_HEADER]);
        self.bytes.extend_from_slice(&(self.keys as u32 | IS_OBJECT).to_ne_bytes());
        for (position, key) in keys().enumerate() {
            self.key_bytes += key.len();
            let entry = entry(position, kind::STRING, key.len(), self.key_bytes);
            self.bytes.extend_from_slice(&entry.to_ne_bytes());
        }
        self.bytes.resize(self.bytes.len() + self.keys * 4, 0);
        for key in keys() {
            self.bytes.extend_from_slice(key);
        }
    }
}

/// Orders keys as the server does.
pub(crate) fn key_order(left: &[u8], right: &[u8]) -> std::cmp::Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn entry(position: usize, kind: u32, length: usize, end: usize) -> u32 {
    if position.is_multiple_of(OFFSET_STRIDE) {
        kind | HAS_OFFSET | (end as u32 & LENGTH_MASK)
    } else {
        kind | (length as u32 & LENGTH_MASK)
    }
}

/// Writes the values of one object, in the order of its keys.
pub(crate) struct ObjectWriter<'a> {
    buffer: &'a mut Buffer,
    data: usize,
    previous: usize,
    keys: usize,
    written: usize,
}

impl<'a> ObjectWriter<'a> {
    /// Begins an object in an emptied buffer.
    pub(crate) fn begin(buffer: &'a mut Buffer, frame: &Frame) -> Self {
        buffer.push(&frame.bytes);
        let data = VARLENA_HEADER + 4 + 8 * frame.keys;
        Self { buffer, data, previous: frame.key_bytes, keys: frame.keys, written: 0 }
    }

    /// Lets `write` append the next value, padding included, and notes its entry.
    #[inline]
    pub(crate) fn value(&mut self, write: impl FnOnce(&mut Buffer) -> Value) -> Value {
        let value = write(self.buffer);
        let end = self.buffer.len() - self.data;
        if end > LENGTH_MASK as usize {
            too_large();
        }
        let position = self.keys + self.written;
        let word = entry(position, value.kind, end - self.previous, end);
        self.buffer.put_u32(VARLENA_HEADER + 4 + 4 * position, word);
        self.previous = end;
        self.written += 1;
        value
    }

    /// Appends a value that stands in another object already.
    #[inline]
    pub(crate) fn copy(&mut self, source: &Buffer, value: Value) {
        self.value(|buffer| {
            if value.is_aligned() {
                buffer.align4();
            }
            buffer.push(&source.bytes()[value.start..value.end]);
            value
        });
    }

    pub(crate) fn finish(self) {
        debug_assert_eq!(self.written, self.keys);
        self.buffer.set_varlena_length();
    }
}

thread_local! {
    static TABLE: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
}

/// Notes the table whose rows are being converted, for the error below.
#[inline]
pub(crate) fn converting(table: pg_sys::Oid) {
    TABLE.set(table);
}

/// The limit of the server's own format, with the server's own SQLSTATE.
pub(crate) fn too_large() -> ! {
    let table = relation::describe(TABLE.get()).map(|(name, _)| name.to_string()).unwrap_or_default();
    errors::raise(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        &format!("row of {table} is too large to be logged: an image holds at most {LENGTH_MASK} bytes"),
        Some(&format!(
            "Leave a large column out: SELECT audit.enable_tracking('{table}', exclude => '{{column_name}}');"
        )),
    )
}
