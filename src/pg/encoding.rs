//! Between the database's encoding and UTF-8, which the rest of us speaks.
//!
//! Never fails: a character that the other side does not have becomes a question mark, because what a client
//! declares, or how somebody named a column, must not make a statement fail.

use pgrx::prelude::*;

/// The most bytes that one byte can become, as the server's MAX_CONVERSION_GROWTH.
const GROWTH: usize = 4;

/// The encodings that need no conversion: UTF-8 itself, and SQL_ASCII, whose bytes mean nothing in particular.
fn other_encoding() -> Option<i32> {
    // SAFETY: reads a variable of the server.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() };
    let converts =
        encoding != pg_sys::pg_enc::PG_UTF8 as i32 && encoding != pg_sys::pg_enc::PG_SQL_ASCII as i32;
    converts.then_some(encoding)
}

/// Text of the database as UTF-8.
pub(crate) fn to_utf8(text: &[u8]) -> String {
    match other_encoding() {
        Some(encoding) if !text.is_ascii() => {
            let converted = convert(text, encoding, pg_sys::pg_enc::PG_UTF8 as i32, |_| 1);
            String::from_utf8_lossy(&converted).into_owned()
        }
        _ => String::from_utf8_lossy(text).into_owned(),
    }
}

/// UTF-8 as text of the database.
pub(crate) fn from_utf8(text: &str) -> Vec<u8> {
    match other_encoding() {
        Some(encoding) if !text.is_ascii() => {
            let width =
                |rest: &[u8]| rest.iter().skip(1).take_while(|&&byte| byte & 0xC0 == 0x80).count() + 1;
            convert(text.as_bytes(), pg_sys::pg_enc::PG_UTF8 as i32, encoding, width)
        }
        _ => text.as_bytes().to_vec(),
    }
}

/// Converts piece by piece; `width` tells how long the character is that could not be converted.
fn convert(text: &[u8], from: i32, to: i32, width: impl Fn(&[u8]) -> usize) -> Vec<u8> {
    // SAFETY: looks up a conversion of the server by encoding numbers.
    let conversion = unsafe { pg_sys::FindDefaultConversionProc(from, to) };
    let mut converted = Vec::with_capacity(text.len() + 16);
    let mut rest = text;
    while !rest.is_empty() {
        let done = if conversion == pg_sys::InvalidOid {
            0
        } else {
            let mut piece = vec![0u8; rest.len() * GROWTH + 1];
            // SAFETY: reads `rest`, which it does not change, and writes at most the length of `piece`, ended by
            // a NUL; with `noError` it stops at the first character that it cannot convert.
            let done = unsafe {
                pg_sys::pg_do_encoding_conversion_buf(
                    conversion,
                    from,
                    to,
                    rest.as_ptr().cast_mut(),
                    rest.len() as i32,
                    piece.as_mut_ptr(),
                    piece.len() as i32,
                    true,
                )
            };
            converted.extend(piece.iter().take_while(|&&byte| byte != 0));
            (done.max(0) as usize).min(rest.len())
        };
        rest = &rest[done..];
        if !rest.is_empty() {
            converted.push(if rest[0].is_ascii() { rest[0] } else { b'?' });
            rest = &rest[width(rest).min(rest.len())..];
        }
    }
    converted
}
