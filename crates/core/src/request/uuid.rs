//! UUIDs in every spelling that PostgreSQL reads.

/// Reads 32 hexadecimal digits in either case, optionally with a hyphen after each group of four, optionally
/// in braces. `None` for anything else.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut rest = inner.as_bytes();
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let [high, low, tail @ ..] = rest else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
        rest = match tail {
            [b'-', after @ ..] if index % 2 == 1 && index < 15 => after,
            _ => tail,
        };
    }
    rest.is_empty().then_some(uuid)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
