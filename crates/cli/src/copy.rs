//! Rows as `COPY ... TO STDOUT (FORMAT binary)` sends them: no text that depends on a session, and little
//! work per row.

use std::io::BufRead;
use std::ops::Range;

use crate::failure::{Failure, Result};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Reads rows from a binary COPY, one at a time.
pub(crate) struct CopyRows<R> {
    input: R,
    /// The row that is being looked at, and where its fields are in it.
    row: Vec<u8>,
    fields: Vec<Option<Range<usize>>>,
    has_begun: bool,
}

/// A row: its fields in the order of the query, `None` for NULL.
pub(crate) struct RawRow<'a> {
    row: &'a [u8],
    fields: &'a [Option<Range<usize>>],
}

impl<'a> RawRow<'a> {
    /// A field; `None` when it is NULL or not there.
    pub(crate) fn field(&self, place: usize) -> Option<&'a [u8]> {
        self.row.get(self.fields.get(place)?.clone()?)
    }

    /// A field of eight bytes.
    pub(crate) fn bigint(&self, place: usize) -> Option<i64> {
        self.field(place)?.try_into().ok().map(i64::from_be_bytes)
    }
}

impl<R: BufRead> CopyRows<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, row: Vec::new(), fields: Vec::new(), has_begun: false }
    }

    /// The next row, or `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<RawRow<'_>>> {
        if !self.has_begun {
            self.begin()?;
        }
        let count = i16::from_be_bytes(self.array()?);
        if count < 0 {
            // The end mark; what may follow is the end of the message.
            while let Some(length) = self.chunk_len()? {
                self.input.consume(length);
            }
            return Ok(None);
        }
        self.row.clear();
        self.fields.clear();
        for _ in 0..count {
            let length = i32::from_be_bytes(self.array()?);
            if length < 0 {
                self.fields.push(None);
                continue;
            }
            let from = self.row.len();
            self.append(length as usize)?;
            self.fields.push(Some(from..self.row.len()));
        }
        Ok(Some(RawRow { row: &self.row, fields: &self.fields }))
    }

    fn begin(&mut self) -> Result<()> {
        let signature: [u8; 11] = self.array()?;
        let _flags: [u8; 4] = self.array()?;
        let extension = u32::from_be_bytes(self.array()?);
        if signature != *SIGNATURE || extension != 0 {
            return Err(Failure::unchecked("the server's COPY is not of the known kind"));
        }
        self.has_begun = true;
        Ok(())
    }

    fn chunk_len(&mut self) -> Result<Option<usize>> {
        match self.input.fill_buf() {
            Ok([]) => Ok(None),
            Ok(chunk) => Ok(Some(chunk.len())),
            Err(error) => Err(interrupted(error)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        // The usual case: all of it is in the chunk that came last.
        if let Some(bytes) = self.input.fill_buf().map_err(interrupted)?.first_chunk::<N>() {
            let bytes = *bytes;
            self.input.consume(N);
            return Ok(bytes);
        }
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(interrupted)?;
        Ok(bytes)
    }

    /// Appends bytes to the row as they come, so that a wrong length does not cost memory.
    fn append(&mut self, mut length: usize) -> Result<()> {
        while length > 0 {
            let chunk = self.input.fill_buf().map_err(interrupted)?;
            if chunk.is_empty() {
                return Err(Failure::connection("the connection ended in the middle of a row"));
            }
            let taken = chunk.len().min(length);
            // `taken` is at most the chunk's length.
            self.row.extend_from_slice(&chunk[..taken]);
            self.input.consume(taken);
            length -= taken;
        }
        Ok(())
    }
}

/// The reason of an interrupted COPY is the server's, wrapped.
fn interrupted(error: std::io::Error) -> Failure {
    match error.into_inner().map(|inner| inner.downcast::<postgres::Error>()) {
        Some(Ok(error)) => (*error).into(),
        Some(Err(error)) => Failure::connection(error.to_string()),
        None => Failure::connection("the connection ended in the middle of the rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for row in [[Some(&b"one"[..]), None], [Some(b""), Some(b"four")]] {
            bytes.extend(2_i16.to_be_bytes());
            for field in row {
                bytes.extend(field.map_or(-1, |field| field.len() as i32).to_be_bytes());
                bytes.extend(field.unwrap_or_default());
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    #[test]
    fn rows_in_chunks_of_any_size() {
        for chunk in [1, 3, 7, 1000] {
            let mut rows =
                CopyRows::new(std::io::BufReader::with_capacity(chunk, std::io::Cursor::new(sample())));
            let mut seen = Vec::new();
            while let Ok(Some(row)) = rows.next() {
                seen.push((
                    row.field(0).map(<[u8]>::to_vec),
                    row.field(1).map(<[u8]>::to_vec),
                    row.field(2).is_none(),
                ));
            }
            let expected =
                [(Some(b"one".to_vec()), None, true), (Some(Vec::new()), Some(b"four".to_vec()), true)];
            assert_eq!(seen, expected, "{chunk}");
        }
    }

    #[test]
    fn cut_anywhere_it_fails() {
        let all = sample();
        for length in 0..all.len() - 1 {
            let mut rows = CopyRows::new(&all[..length]);
            let failed = std::iter::from_fn(|| match rows.next() {
                Ok(Some(_)) => Some(false),
                Ok(None) => None,
                Err(_) => Some(true),
            });
            assert!(failed.take(5).any(|failed| failed), "{length}");
        }
    }
}
