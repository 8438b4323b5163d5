//! Values from the bytes that stand for them.

use std::net::IpAddr;

use super::super::Malformed;
use super::super::reader::Reader;
use super::{Scalar, TAG_ARRAY, TAG_NULL, Type, Value};

const NO_VALUE: Malformed = Malformed("it is no value");

impl Value {
    /// Reads what [`Value::encode`] or an [`super::Encoder`] wrote.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the bytes are not one value.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = any(&mut reader)?;
        if reader.is_empty() { Ok(value) } else { Err(NO_VALUE) }
    }
}

fn any(reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    match reader.u8()? {
        TAG_ARRAY => array(reader),
        tag => scalar(tag, reader),
    }
}

fn scalar(tag: u8, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    if tag == TAG_NULL {
        return Ok(Value::Null);
    }
    Ok(match Type::scalar_of_tag(tag).ok_or(NO_VALUE)? {
        Scalar::Bool => match reader.u8()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(NO_VALUE),
        },
        Scalar::Int => Value::Int(i64::from_be_bytes(reader.array()?)),
        Scalar::Numeric => Value::Numeric(text(reader)?),
        Scalar::Float => Value::Float(f64::from_bits(u64::from_be_bytes(reader.array()?))),
        Scalar::Text => Value::Text(text(reader)?),
        Scalar::Bytea => Value::Bytea(reader.prefixed()?.to_vec()),
        Scalar::Timestamptz => Value::Timestamptz(i64::from_be_bytes(reader.array()?)),
        Scalar::Timestamp => Value::Timestamp(i64::from_be_bytes(reader.array()?)),
        Scalar::Date => Value::Date(i32::from_be_bytes(reader.array()?)),
        Scalar::Time => Value::Time(i64::from_be_bytes(reader.array()?)),
        Scalar::Interval => Value::Interval {
            months: i32::from_be_bytes(reader.array()?),
            days: i32::from_be_bytes(reader.array()?),
            us: i64::from_be_bytes(reader.array()?),
        },
        Scalar::Uuid => Value::Uuid(reader.array()?),
        Scalar::Inet => {
            let [is_cidr, family, prefix] = reader.array()?;
            let address = match family {
                4 => IpAddr::from(reader.array::<4>()?),
                6 => IpAddr::from(reader.array::<16>()?),
                _ => return Err(NO_VALUE),
            };
            Value::Inet { is_cidr: is_cidr == 1, prefix, address }
        }
        Scalar::Jsonb => Value::Jsonb(text(reader)?),
        Scalar::U64 => Value::U64(u64::from_be_bytes(reader.array()?)),
    })
}

fn array(reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    let element = Type::scalar_of_tag(reader.u8()?).ok_or(NO_VALUE)?;
    let dimensions = reader.u8()?;
    let mut dims = Vec::new();
    for _ in 0..dimensions {
        let lower = i32::from_be_bytes(reader.array()?);
        dims.push((lower, reader.u32()?));
    }
    let count = dims.iter().try_fold(u64::from(dimensions > 0), |count, (_, length)| {
        count.checked_mul(u64::from(*length)).ok_or(NO_VALUE)
    })?;
    let mut items = Vec::new();
    for _ in 0..count {
        let tag = reader.u8()?;
        if tag != TAG_NULL && tag != element as u8 {
            return Err(NO_VALUE);
        }
        items.push(scalar(tag, reader)?);
    }
    Ok(Value::Array { element, dims, items })
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    String::from_utf8(reader.prefixed()?.to_vec()).map_err(|_| NO_VALUE)
}
