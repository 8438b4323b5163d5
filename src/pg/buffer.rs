//! Memory that may be handed to the server as a datum.
//!
//! The server reads the length word of a long varlena, and the numbers inside a jsonb, as aligned words.
//! These buffers therefore begin on an 8-byte boundary.

use pgrx::prelude::*;

#[cfg(target_endian = "big")]
compile_error!("the varlena headers below are those of little-endian machines");

/// A byte buffer that begins on an 8-byte boundary and keeps its memory between rows.
#[derive(Default)]
pub(crate) struct Buffer {
    words: Vec<u64>,
    len: usize,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Empties the buffer; memory above `keep` bytes goes back, so that one huge row is not kept for ever.
    pub(crate) fn clear(&mut self, keep: usize) {
        if self.words.len() * 8 > keep {
            self.words = Vec::new();
        }
        self.len = 0;
    }

    fn ensure(&mut self, more: usize) {
        let words = (self.len + more).div_ceil(8);
        if words > self.words.len() {
            self.grow(words);
        }
    }

    /// Running out of memory must be the server's ERROR, not the end of the process.
    #[cold]
    fn grow(&mut self, words: usize) {
        let wanted = words.max(self.words.len() / 2 * 3).max(128);
        if self.words.try_reserve_exact(wanted - self.words.len()).is_err() {
            super::errors::raise(
                PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
                "out of memory for the image of a row",
                None,
            );
        }
        self.words.resize(wanted, 0);
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.ensure(bytes.len());
        // SAFETY: `ensure` made room for `len + bytes.len()` bytes, and `bytes` cannot overlap a buffer that
        // is borrowed mutably.
        unsafe {
            let end = self.words.as_mut_ptr().cast::<u8>().add(self.len);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
        }
        self.len += bytes.len();
    }

    pub(crate) fn push_zeros(&mut self, count: usize) {
        self.ensure(count);
        // SAFETY: `ensure` made room for `len + count` bytes.
        unsafe { self.words.as_mut_ptr().cast::<u8>().add(self.len).write_bytes(0, count) };
        self.len += count;
    }

    /// Pads with zeros to the next multiple of four, as jsonb does before numbers and containers.
    #[inline]
    pub(crate) fn align4(&mut self) {
        let padding = self.len.wrapping_neg() & 3;
        if padding > 0 {
            self.push_zeros(padding);
        }
    }

    #[inline]
    pub(crate) fn put_u32(&mut self, at: usize, value: u32) {
        self.bytes_mut()[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes were written, and never more than the words hold.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.len) }
    }

    /// Closes a long varlena whose first four bytes were left blank.
    pub(crate) fn set_varlena_length(&mut self) {
        self.put_u32(0, (self.len as u32) << 2);
    }

    /// The buffer as a varlena datum, valid until the buffer is next changed.
    pub(crate) fn datum(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.words.as_ptr().cast::<u8>())
    }
}

/// A value that we keep across rows, stored as the server stores it.
#[derive(Default)]
pub(crate) struct Varlena(Buffer);

impl Varlena {
    /// A text, bytea or any other type whose content is just `payload`.
    pub(crate) fn new(payload: &[u8]) -> Self {
        let mut buffer = Buffer::default();
        write_varlena(&mut buffer, payload);
        Self(buffer)
    }

    /// A copy of a varlena with its header, as a function of the server returned it (not toasted).
    pub(crate) fn copy_of(datum_bytes: &[u8]) -> Self {
        let mut buffer = Buffer::default();
        buffer.push(datum_bytes);
        Self(buffer)
    }

    pub(crate) fn datum(&self) -> pg_sys::Datum {
        self.0.datum()
    }

    /// The content without its header.
    pub(crate) fn payload(&self) -> &[u8] {
        let bytes = self.0.bytes();
        if bytes[0] & 1 == 1 { &bytes[1..] } else { &bytes[4..] }
    }
}

/// Writes `payload` as a varlena into an emptied buffer, with the one-byte header where it fits.
pub(crate) fn write_varlena(buffer: &mut Buffer, payload: &[u8]) {
    if payload.len() < 127 {
        buffer.push(&[((payload.len() as u8 + 1) << 1) | 1]);
        buffer.push(payload);
    } else {
        buffer.push(&[0; 4]);
        buffer.push(payload);
        buffer.set_varlena_length();
    }
}
