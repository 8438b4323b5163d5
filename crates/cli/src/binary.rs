//! Values as PostgreSQL sends them in binary, into the values that the ledger knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use audit_guard_core::ledger::value::{Scalar, Type, Value, date_from_2000, time_from_2000};

/// The value of a field; `None` when the bytes are not what a value of this type is sent as.
pub(crate) fn value(kind: Type, bytes: &[u8]) -> Option<Value> {
    match kind {
        Type::Scalar(scalar) => scalar_value(scalar, bytes),
        Type::Array(element) => array(element, bytes),
    }
}

fn scalar_value(scalar: Scalar, bytes: &[u8]) -> Option<Value> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
    Some(match scalar {
        Scalar::Bool => match bytes {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return None,
        },
        Scalar::Int => Value::Int(match bytes.len() {
            2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
            4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
            _ => number(bytes)?,
        }),
        Scalar::Numeric => Value::Numeric(numeric(bytes)?),
        Scalar::Float => Value::Float(match bytes.len() {
            4 => f32::from_be_bytes(bytes.try_into().ok()?).into(),
            _ => f64::from_be_bytes(bytes.try_into().ok()?),
        }),
        Scalar::Text => Value::Text(text(bytes)?),
        Scalar::Bytea => Value::Bytea(bytes.to_vec()),
        Scalar::Timestamptz => Value::Timestamptz(time_from_2000(number(bytes)?)),
        Scalar::Timestamp => Value::Timestamp(time_from_2000(number(bytes)?)),
        Scalar::Date => Value::Date(date_from_2000(i32::from_be_bytes(bytes.try_into().ok()?))),
        Scalar::Time => Value::Time(number(bytes)?),
        Scalar::Interval => {
            let (us, rest) = bytes.split_first_chunk::<8>()?;
            let (days, months) = rest.split_first_chunk::<4>()?;
            Value::Interval {
                months: i32::from_be_bytes(months.try_into().ok()?),
                days: i32::from_be_bytes(*days),
                us: i64::from_be_bytes(*us),
            }
        }
        Scalar::Uuid => Value::Uuid(bytes.try_into().ok()?),
        Scalar::Inet => inet(bytes)?,
        // In front of the text stands the version of the format.
        Scalar::Jsonb => Value::Jsonb(text(bytes.strip_prefix(&[1])?)?),
        Scalar::U64 => Value::U64(u64::from_be_bytes(bytes.try_into().ok()?)),
    })
}

/// Family (2 is IPv4, 3 is IPv6), bits of the network, whether it is a cidr, length, address.
fn inet(bytes: &[u8]) -> Option<Value> {
    let ([family, prefix, is_cidr, _length], address) = bytes.split_first_chunk::<4>()?;
    let address = match family {
        2 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        3 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    Some(Value::Inet { is_cidr: *is_cidr != 0, prefix: *prefix, address })
}

/// Dimensions, whether there are NULLs, type of the elements; length and lower bound per dimension; elements.
fn array(element: Scalar, bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let count = i32_of(&mut rest)?;
    let (_has_nulls, _element_type) = (i32_of(&mut rest)?, i32_of(&mut rest)?);
    let mut dims = Vec::new();
    for _ in 0..u8::try_from(count).ok().filter(|count| *count <= 6)? {
        let length = u32::try_from(i32_of(&mut rest)?).ok()?;
        dims.push((i32_of(&mut rest)?, length));
    }
    let mut items = Vec::new();
    while !rest.is_empty() {
        let length = i32_of(&mut rest)?;
        items.push(match usize::try_from(length) {
            Err(_) => Value::Null,
            Ok(length) => {
                let (item, behind) = rest.split_at_checked(length)?;
                rest = behind;
                scalar_value(element, item)?
            }
        });
    }
    let expected: Option<u32> =
        dims.iter().try_fold(1_u32, |product, (_, length)| product.checked_mul(*length));
    let fits = if dims.is_empty() { items.is_empty() } else { expected? as usize == items.len() };
    fits.then_some(Value::Array { element, dims, items })
}

fn i32_of(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(i32::from_be_bytes(*bytes))
}

/// Number of digits, weight of the first, sign, digits behind the point; the digits count to 10,000. The text
/// is what `numeric_out` prints.
fn numeric(bytes: &[u8]) -> Option<String> {
    let (words, rest) = bytes.as_chunks::<2>();
    let (head, digits) = words.split_first_chunk::<4>()?;
    let [count, weight, sign, scale] = head.map(i16::from_be_bytes);
    if !rest.is_empty() || digits.len() != usize::try_from(count).ok()? {
        return None;
    }
    let mut text = String::new();
    match sign.cast_unsigned() {
        0x0000 => {}
        0x4000 => text.push('-'),
        0xc000 => return Some("NaN".to_owned()),
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        _ => return None,
    }
    // The digit at this power of 10,000; those that are not sent are zero.
    let digit = |power: i32| -> Option<i16> {
        let place = usize::try_from(i32::from(weight) - power).ok();
        let digit = place.and_then(|place| digits.get(place)).map_or(0, |word| i16::from_be_bytes(*word));
        (0..10_000).contains(&digit).then_some(digit)
    };
    if weight < 0 {
        text.push('0');
    }
    for power in (0..=i32::from(weight)).rev() {
        let digit = digit(power)?;
        match power == i32::from(weight) {
            true => text.push_str(&digit.to_string()),
            false => text.push_str(&format!("{digit:04}")),
        }
    }
    let scale = usize::try_from(scale).ok()?;
    if scale > 0 {
        let mut fraction = String::new();
        for power in 1..=scale.div_ceil(4) {
            fraction.push_str(&format!("{:04}", digit(-(power as i32))?));
        }
        // Four characters per digit: at least `scale` of them.
        fraction.truncate(scale);
        text.push('.');
        text.push_str(&fraction);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[i16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn numerics() {
        for (bytes, expected) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[1, 0, 0, 2, 7], "7.00"),
            (&[2, 1, 0x4000, 0, 12, 34], "-120034"),
            (&[2, 0, 0, 3, 1, 5000], "1.500"),
            (&[1, -2, 0, 6, 1200], "0.000012"),
            (&[1, 2, 0, 0, 5], "500000000"),
            (&[0, 0, -0x4000, 0], "NaN"),
        ] {
            assert_eq!(numeric(&words(bytes)).as_deref(), Some(expected), "{bytes:?}");
        }
        for wrong in [&[1, 0, 0, 0][..], &[1, 0, 1, 0, 5], &[1, 0, 0, 0, 10_000], &[-1, 0, 0, 0], &[0, 0, 0]]
        {
            assert_eq!(numeric(&words(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn arrays() {
        let empty = [0_i32, 0, 25].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        let text = Type::Array(Scalar::Text);
        assert_eq!(
            value(text, &empty),
            Some(Value::Array { element: Scalar::Text, dims: vec![], items: vec![] })
        );
        let mut two: Vec<u8> = [1_i32, 1, 25, 2, 1, 1].iter().flat_map(|word| word.to_be_bytes()).collect();
        two.push(b'a');
        two.extend((-1_i32).to_be_bytes());
        let items = vec![Value::Text("a".to_owned()), Value::Null];
        assert_eq!(
            value(text, &two),
            Some(Value::Array { element: Scalar::Text, dims: vec![(1, 2)], items })
        );
        for length in 0..two.len() {
            assert_eq!(value(text, &two[..length]), None, "{length}");
        }
    }

    #[test]
    fn addresses_and_intervals() {
        let address = IpAddr::from([10, 1, 2, 3]);
        let expected = Some(Value::Inet { is_cidr: true, prefix: 8, address });
        assert_eq!(value(Type::Scalar(Scalar::Inet), &[2, 8, 1, 4, 10, 1, 2, 3]), expected);
        assert_eq!(value(Type::Scalar(Scalar::Inet), &[2, 8, 1, 4, 10, 1, 2]), None);
        let mut bytes = 5_i64.to_be_bytes().to_vec();
        bytes.extend(3_i32.to_be_bytes());
        bytes.extend((-14_i32).to_be_bytes());
        let expected = Some(Value::Interval { months: -14, days: 3, us: 5 });
        assert_eq!(value(Type::Scalar(Scalar::Interval), &bytes), expected);
    }
}
