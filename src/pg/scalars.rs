//! The bytes of JSON scalars that we write ourselves, because they stand in every table.

use super::buffer::Buffer;
use super::jsonb::{Value, kind};
use pgrx::pg_sys;
use std::cell::RefCell;

/// Digits of a numeric are base 10,000.
const NUMERIC_BASE: u64 = 10_000;
/// Header bits of a numeric in its short form.
const NUMERIC_SHORT: u16 = 0x8000;
const NUMERIC_SHORT_NEGATIVE: u16 = 0x2000;
const NUMERIC_SHORT_SCALE_SHIFT: u16 = 7;
const NUMERIC_SHORT_MAX_SCALE: u16 = 63;
const NUMERIC_SHORT_WEIGHT_MASK: u16 = 0x007F;
const NUMERIC_SPECIAL: u16 = 0xC000;
const NUMERIC_SPECIAL_MASK: u16 = 0xF000;
const NUMERIC_POSITIVE_INFINITY: u16 = 0xD000;
const NUMERIC_NEGATIVE_INFINITY: u16 = 0xF000;
const NUMERIC_NEGATIVE: u16 = 0x4000;
const NUMERIC_SCALE_MASK: u16 = 0x3FFF;

pub(crate) fn string(buffer: &mut Buffer, bytes: &[u8]) -> Value {
    let start = buffer.len();
    buffer.push(bytes);
    Value { kind: kind::STRING, start, end: buffer.len() }
}

pub(crate) fn boolean(value: bool) -> Value {
    Value { kind: if value { kind::TRUE } else { kind::FALSE }, start: 0, end: 0 }
}

/// An integer as the numeric that the server would make of it.
pub(crate) fn integer(buffer: &mut Buffer, value: i64) -> Value {
    let mut digits = [0u16; 5];
    let mut rest = value.unsigned_abs();
    let mut count = 0;
    while rest > 0 {
        // At most 19 decimal digits, so at most five of base 10,000.
        digits[4 - count] = (rest % NUMERIC_BASE) as u16;
        rest /= NUMERIC_BASE;
        count += 1;
    }
    let weight = count.saturating_sub(1) as u16;
    let mut stored = &digits[5 - count..];
    while let [head @ .., 0] = stored {
        stored = head;
    }
    let sign = if value < 0 { NUMERIC_SHORT_NEGATIVE } else { 0 };
    let mut payload = [0u8; 12];
    payload[..2].copy_from_slice(&(NUMERIC_SHORT | sign | weight).to_ne_bytes());
    for (position, digit) in stored.iter().enumerate() {
        payload[2 + position * 2..][..2].copy_from_slice(&digit.to_ne_bytes());
    }
    numeric_payload(buffer, &payload[..2 + stored.len() * 2])
}

/// A stored numeric, given without its varlena header.
pub(crate) fn numeric(buffer: &mut Buffer, payload: &[u8]) -> Value {
    let header = u16::from_ne_bytes([payload[0], payload[1]]);
    if header & NUMERIC_SPECIAL == NUMERIC_SPECIAL {
        let name: &[u8] = match header & NUMERIC_SPECIAL_MASK {
            NUMERIC_POSITIVE_INFINITY => b"Infinity",
            NUMERIC_NEGATIVE_INFINITY => b"-Infinity",
            _ => b"NaN",
        };
        return string(buffer, name);
    }
    if header & NUMERIC_SHORT != 0 {
        return numeric_payload(buffer, payload);
    }
    let weight = i16::from_ne_bytes([payload[2], payload[3]]);
    let scale = header & NUMERIC_SCALE_MASK;
    if scale > NUMERIC_SHORT_MAX_SCALE || !(-64..64).contains(&weight) {
        return numeric_payload(buffer, payload);
    }
    // Very old servers wrote the long form always; conversion through text would shorten it.
    let sign = if header & NUMERIC_NEGATIVE != 0 { NUMERIC_SHORT_NEGATIVE } else { 0 };
    let weight = weight as u16 & NUMERIC_SHORT_WEIGHT_MASK;
    let short = NUMERIC_SHORT | sign | (scale << NUMERIC_SHORT_SCALE_SHIFT) | weight;
    let mut shortened = short.to_ne_bytes().to_vec();
    shortened.extend_from_slice(&payload[4..]);
    numeric_payload(buffer, &shortened)
}

fn numeric_payload(buffer: &mut Buffer, payload: &[u8]) -> Value {
    buffer.align4();
    let start = buffer.len();
    buffer.push(&(((payload.len() + 4) as u32) << 2).to_ne_bytes());
    buffer.push(payload);
    Value { kind: kind::NUMERIC, start, end: buffer.len() }
}

/// A uuid in its usual notation.
pub(crate) fn uuid(buffer: &mut Buffer, bytes: &[u8; 16]) -> Value {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    string(buffer, &text)
}

/// Longest text of a date or time, as the server's MAXDATELEN, with its NUL.
const MAX_DATE_LENGTH: usize = 129;
const MEMO_SIZE: usize = 8;

/// The texts of the last few times: `now()` fills several columns and many rows with one value.
struct DateMemo {
    entries: [(pg_sys::Oid, u64, u8, [u8; MAX_DATE_LENGTH]); MEMO_SIZE],
    next: usize,
}

thread_local! {
    static DATES: RefCell<DateMemo> = const {
        RefCell::new(DateMemo { entries: [(pg_sys::InvalidOid, 0, 0, [0; MAX_DATE_LENGTH]); MEMO_SIZE], next: 0 })
    };
}

/// A date, timestamp or timestamptz in ISO 8601, the latter in UTC.
pub(crate) fn date_time(buffer: &mut Buffer, value: pg_sys::Datum, type_oid: pg_sys::Oid) -> Value {
    let raw = value.value() as u64;
    DATES.with_borrow_mut(|memo| {
        if let Some((_, _, length, text)) =
            memo.entries.iter().find(|(memo_type, memo_raw, _, _)| *memo_type == type_oid && *memo_raw == raw)
        {
            return string(buffer, &text[..usize::from(*length)]);
        }
        let mut text = [0; MAX_DATE_LENGTH];
        let utc: core::ffi::c_int = 0;
        // SAFETY: the buffer has the length that the function asks for; the offset is only read.
        let length = unsafe {
            pg_sys::JsonEncodeDateTime(text.as_mut_ptr().cast(), value, type_oid, &utc);
            std::ffi::CStr::from_ptr(text.as_ptr().cast()).count_bytes()
        };
        let next = memo.next;
        memo.entries[next] = (type_oid, raw, length as u8, text);
        memo.next = (next + 1) % MEMO_SIZE;
        string(buffer, &text[..length])
    })
}
