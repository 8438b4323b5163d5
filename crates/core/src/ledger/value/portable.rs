//! Values as text, for documents that leave the database.

use std::fmt::Write;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::super::Malformed;
use super::{Scalar, Type, Value};

const ARRAY: Malformed = Malformed("it is no array");
const MAX_DIMENSIONS: usize = 6;

/// An array as text. The elements are portable texts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortableArray {
    dims: Vec<(i32, u32)>,
    items: Vec<Option<String>>,
}

impl Value {
    /// The text from which [`Self::parse_portable`] makes the same value; `None` for NULL.
    #[must_use]
    pub fn portable(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => value.to_string(),
            Self::Int(value) | Self::Timestamptz(value) | Self::Timestamp(value) | Self::Time(value) => {
                value.to_string()
            }
            Self::Date(days) => days.to_string(),
            Self::Numeric(text) | Self::Text(text) | Self::Jsonb(text) => text.clone(),
            Self::Float(value) => format!("{:016x}", value.to_bits()),
            Self::Bytea(bytes) => hex(bytes),
            Self::Interval { months, days, us } => format!("{months} {days} {us}"),
            Self::Uuid(bytes) => hex(bytes),
            Self::Inet { is_cidr, prefix, address } => {
                format!("{}{address}/{prefix}", if *is_cidr { "cidr " } else { "" })
            }
            Self::U64(value) => value.to_string(),
            Self::Array { dims, items, .. } => {
                let items = items.iter().map(Self::portable).collect();
                // Numbers and strings always have a JSON text.
                serde_json::to_string(&PortableArray { dims: dims.clone(), items }).unwrap_or_default()
            }
        })
    }

    /// Reads what [`Self::portable`] wrote.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when `text` is not what a value of this type is written as.
    pub fn parse_portable(kind: Type, text: &str) -> Result<Self, Malformed> {
        match kind {
            Type::Scalar(scalar) => parse_scalar(scalar, text),
            Type::Array(element) => parse_array(element, text),
        }
    }
}

fn parse_array(element: Scalar, text: &str) -> Result<Value, Malformed> {
    let array: PortableArray = serde_json::from_str(text).map_err(|_| ARRAY)?;
    let mut count = u64::from(!array.dims.is_empty());
    for (_, length) in &array.dims {
        count = count.saturating_mul(u64::from(*length));
    }
    if array.dims.len() > MAX_DIMENSIONS || count != array.items.len() as u64 {
        return Err(Malformed("an array has another number of elements than its dimensions say"));
    }
    let items = array.items.iter().map(|item| match item {
        Some(text) => parse_scalar(element, text),
        None => Ok(Value::Null),
    });
    Ok(Value::Array { element, items: items.collect::<Result<_, _>>()?, dims: array.dims })
}

fn parse_scalar(scalar: Scalar, text: &str) -> Result<Value, Malformed> {
    Ok(match scalar {
        Scalar::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(Malformed("it is neither true nor false")),
        },
        Scalar::Int => Value::Int(number(text)?),
        Scalar::Numeric => Value::Numeric(numeric(text)?.to_owned()),
        Scalar::Float => Value::Float(f64::from_bits(u64::from_be_bytes(unhex_array(text)?))),
        Scalar::Text => Value::Text(text.to_owned()),
        Scalar::Bytea => Value::Bytea(unhex(text)?),
        Scalar::Timestamptz => Value::Timestamptz(number(text)?),
        Scalar::Timestamp => Value::Timestamp(number(text)?),
        Scalar::Date => Value::Date(number(text)?),
        Scalar::Time => Value::Time(number(text)?),
        Scalar::Interval => parse_interval(text)?,
        Scalar::Uuid => Value::Uuid(unhex_array(text)?),
        Scalar::Inet => parse_inet(text)?,
        Scalar::Jsonb => Value::Jsonb(text.to_owned()),
        Scalar::U64 => Value::U64(number(text)?),
    })
}

/// A decimal number in the one form in which it is printed.
fn number<T: FromStr + ToString>(text: &str) -> Result<T, Malformed> {
    const NUMBER: Malformed = Malformed("it is no number, or a number too large");
    let value: T = text.parse().map_err(|_| NUMBER)?;
    if value.to_string() == text { Ok(value) } else { Err(NUMBER) }
}

/// What `numeric_out` may print: digits with at most one point between them, or a word.
fn numeric(text: &str) -> Result<&str, Malformed> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = matches!(text, "NaN" | "Infinity" | "-Infinity");
    if is_word || (all_digits(whole) && all_digits(fraction)) {
        Ok(text)
    } else {
        Err(Malformed("it is no number"))
    }
}

fn parse_interval(text: &str) -> Result<Value, Malformed> {
    let parts: Vec<&str> = text.splitn(4, ' ').collect();
    let [months, days, us] = parts[..] else {
        return Err(Malformed("an interval has months, days and microseconds"));
    };
    Ok(Value::Interval { months: number(months)?, days: number(days)?, us: number(us)? })
}

fn parse_inet(text: &str) -> Result<Value, Malformed> {
    const INET: Malformed = Malformed("it is no address with a prefix");
    let (is_cidr, rest) = text.strip_prefix("cidr ").map_or((false, text), |rest| (true, rest));
    let (address, prefix) = rest.split_once('/').ok_or(INET)?;
    let address: IpAddr = address.parse().map_err(|_| INET)?;
    let prefix: u8 = number(prefix)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if prefix > bits {
        return Err(INET);
    }
    Ok(Value::Inet { is_cidr, prefix, address })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Result<Vec<u8>, Malformed> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(Malformed("it is no lower-case hexadecimal number")),
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Malformed("it has half a byte"));
    }
    pairs.iter().map(|&[high, low]| Ok(digit(high)? << 4 | digit(low)?)).collect()
}

fn unhex_array<const N: usize>(text: &str) -> Result<[u8; N], Malformed> {
    unhex(text)?.try_into().map_err(|_| Malformed("it has another number of bytes"))
}
