//! The text that stands for a record's key.
//!
//! A key of one column is that column's text. A key of several is a compact JSON array of their values, such
//! as `[7,"a"]`. Users may write that array with any spacing: it is read into the texts of its elements.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The longest key, in bytes, that is kept as it is. An index entry of the server holds 2,704 bytes, and the
/// name of the table stands beside the key.
pub const MAX_KEY_BYTES: usize = 2000;

/// One column's value within a key of several columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPart<'a> {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number as PostgreSQL prints it, any precision. `NaN` and `Infinity` are written as JSON strings.
    Number(&'a str),
    /// Any other value, as text.
    Text(&'a str),
    /// A value that is JSON already; written as it stands.
    Json(&'a str),
}

/// Appends the compact JSON array of `parts` to `out`.
///
/// Strings are escaped exactly as `serde_json` does it: quote, backslash and control characters, nothing
/// else.
pub fn encode_composite(parts: &[KeyPart<'_>], out: &mut String) {
    out.push('[');
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        push_part(*part, out);
    }
    out.push(']');
}

/// Appends one element of such an array, without brackets and commas.
pub fn push_part(part: KeyPart<'_>, out: &mut String) {
    match part {
        KeyPart::Null => out.push_str("null"),
        KeyPart::Bool(true) => out.push_str("true"),
        KeyPart::Bool(false) => out.push_str("false"),
        // Every finite number ends in a digit; the others are not JSON numbers.
        KeyPart::Number(number) if number.ends_with(|c: char| c.is_ascii_digit()) => out.push_str(number),
        KeyPart::Number(text) | KeyPart::Text(text) => push_string(text, out),
        KeyPart::Json(json) => out.push_str(json),
    }
}

/// The form in which a key is kept: itself, or for a key longer than [`MAX_KEY_BYTES`] the text `sha256:` and
/// the hash of the key in hexadecimal. Such a key is still found by its value, and stands whole in the images.
#[must_use]
pub fn fit(key: &[u8]) -> Cow<'_, [u8]> {
    if key.len() <= MAX_KEY_BYTES {
        return Cow::Borrowed(key);
    }
    let mut digest = b"sha256:".to_vec();
    for byte in Sha256::digest(key) {
        for half in [byte >> 4, byte & 15] {
            // A half byte is below sixteen.
            digest.push(b"0123456789abcdef"[usize::from(half)]);
        }
    }
    Cow::Owned(digest)
}

/// Reads a key of `arity` columns from a JSON array, with any spacing.
///
/// Each element becomes the text of that column: strings without their quotes, numbers, booleans, objects and
/// arrays exactly as written, `null` as `None`.
///
/// # Errors
///
/// [`KeyError`] when the text is no JSON array, has another number of elements, or holds a string that no
/// PostgreSQL text can be. Errors never repeat the key.
pub fn parse_composite(text: &str, arity: usize) -> Result<Vec<Option<String>>, KeyError> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| KeyError::NotAnArray { arity })?;
    if elements.len() != arity {
        return Err(KeyError::WrongArity { arity, found: elements.len() });
    }
    elements.iter().enumerate().map(|(index, raw)| element_text(raw, index + 1)).collect()
}

fn element_text(raw: &RawValue, position: usize) -> Result<Option<String>, KeyError> {
    let json = raw.get();
    if json == "null" {
        return Ok(None);
    }
    if !json.starts_with('"') {
        return Ok(Some(json.to_owned()));
    }
    match serde_json::from_str::<String>(json) {
        Ok(text) if !text.contains('\0') => Ok(Some(text)),
        _ => Err(KeyError::NotText { position }),
    }
}

/// Appends `text` as a JSON string.
fn push_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
        // What was found is one of the ASCII characters above, hence one byte.
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        push_escape(tail.as_bytes()[0], out);
        rest = &tail[1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn push_escape(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        0x08 => out.push_str("\\b"),
        0x0c => out.push_str("\\f"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        control => {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(control >> 4)]));
            out.push(char::from(HEX[usize::from(control & 0xf)]));
        }
    }
}

/// Why a text is not the key of a table whose key has several columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The text is no JSON array.
    NotAnArray {
        /// How many columns the key has.
        arity: usize,
    },
    /// The array has another number of elements than the key has columns.
    WrongArity {
        /// How many columns the key has.
        arity: usize,
        /// How many elements the array has.
        found: usize,
    },
    /// An element is a string that no PostgreSQL text can hold: it has a zero character or half a surrogate
    /// pair.
    NotText {
        /// Which element, counted from 1.
        position: usize,
    },
}

impl KeyError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAnArray { .. } | Self::WrongArity { .. } => {
                Some("Write the key columns in their order, such as '[7,\"a\"]'.".to_owned())
            }
            Self::NotText { .. } => None,
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArray { arity } => {
                write!(f, "a key of {arity} columns is written as a JSON array of {arity} elements")
            }
            Self::WrongArity { arity, found } => {
                write!(f, "a key of {arity} columns needs {arity} elements, the array has {found}")
            }
            Self::NotText { position } => {
                write!(f, "element {position} of the key holds a character that no text can have")
            }
        }
    }
}

impl std::error::Error for KeyError {}
