//! The text of stored jsonb values, as the server prints them, read straight from the stored bytes: sealing and
//! verifying print every image, and the server's own way takes several times as long.
//!
//! The form on disk is the server's (jsonb.h, numeric.c) and the same on all versions that we support; a test
//! compares with the server's own text.

/// Bits of the word that a container begins with.
const COUNT: u32 = 0x0FFF_FFFF;
const IS_SCALAR: u32 = 0x1000_0000;
const IS_OBJECT: u32 = 0x2000_0000;
/// Bits of the word that stands for each key, value or element.
const LENGTH: u32 = 0x0FFF_FFFF;
const KIND: u32 = 0x7000_0000;
const HAS_OFFSET: u32 = 0x8000_0000;

const STRING: u32 = 0x0000_0000;
const NUMERIC: u32 = 0x1000_0000;
const FALSE: u32 = 0x2000_0000;
const TRUE: u32 = 0x3000_0000;
const NULL: u32 = 0x4000_0000;

/// One key, value or element: what it is, and its bytes.
#[derive(Clone, Copy)]
struct Item<'a> {
    kind: u32,
    bytes: &'a [u8],
}

/// A container taken apart without looking into what it contains.
struct Items<'a> {
    entries: &'a [u8],
    data: &'a [u8],
    next: usize,
    count: usize,
    end: usize,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

impl<'a> Items<'a> {
    /// `places` tells how many entries there are.
    fn new(container: &'a [u8], places: usize) -> Self {
        let (entries, data) =
            container.get(4..).unwrap_or_default().split_at_checked(places * 4).unwrap_or_default();
        Self { entries, data, next: 0, count: places, end: 0 }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if self.next == self.count {
            return None;
        }
        let entry = word(self.entries, self.next * 4);
        let start = self.end;
        let length = (entry & LENGTH) as usize;
        self.end = if entry & HAS_OFFSET != 0 { length } else { start + length };
        self.next += 1;
        Some(
            Item { kind: entry & KIND, bytes: self.data.get(start..self.end).unwrap_or_default() }
                .aligned(start),
        )
    }
}

impl Item<'_> {
    /// Numbers and containers begin at a multiple of four.
    fn aligned(self, start: usize) -> Self {
        let padding = match self.kind {
            STRING | FALSE | TRUE | NULL => 0,
            _ => start.wrapping_neg() & 3,
        };
        Self { bytes: self.bytes.get(padding..).unwrap_or_default(), ..self }
    }

    fn print(self, out: &mut Vec<u8>) {
        match self.kind {
            STRING => string(self.bytes, out),
            NUMERIC => numeric(without_header(self.bytes), out),
            FALSE => out.extend_from_slice(b"false"),
            TRUE => out.extend_from_slice(b"true"),
            NULL => out.extend_from_slice(b"null"),
            _ => print(self.bytes, out),
        }
    }
}

/// The members of an object, given without the varlena header, in their stored order; None for anything else and
/// for an object without members.
pub(crate) fn members(stored: &[u8]) -> Option<Members<'_>> {
    let header = word(stored, 0);
    let count = (header & COUNT) as usize;
    if header & IS_OBJECT == 0 || count == 0 {
        return None;
    }
    let mut values = Items::new(stored, count * 2);
    let keys = Items { count, entries: values.entries, data: values.data, next: 0, end: 0 };
    for _ in 0..count {
        values.next();
    }
    Some(Members { keys, values })
}

/// Walks through keys and values side by side.
pub(crate) struct Members<'a> {
    keys: Items<'a>,
    values: Items<'a>,
}

impl<'a> Members<'a> {
    pub(crate) fn count(&self) -> usize {
        self.keys.count
    }

    /// The next key; `text` gets what its value looks like.
    pub(crate) fn next(&mut self, text: &mut Vec<u8>) -> Option<&'a [u8]> {
        let (key, value) = (self.keys.next()?, self.values.next()?);
        value.print(text);
        Some(key.bytes)
    }
}

/// Appends the text of a value, given without the varlena header.
pub(crate) fn print(stored: &[u8], out: &mut Vec<u8>) {
    let header = word(stored, 0);
    let count = (header & COUNT) as usize;
    if header & IS_SCALAR != 0 {
        Items::new(stored, 1).for_each(|item| item.print(out));
    } else if header & IS_OBJECT != 0 {
        out.push(b'{');
        if let Some(mut members) = members(stored) {
            let mut separator: &[u8] = b"";
            for (key, value) in members.keys.by_ref().zip(members.values.by_ref()) {
                out.extend_from_slice(separator);
                string(key.bytes, out);
                out.extend_from_slice(b": ");
                value.print(out);
                separator = b", ";
            }
        }
        out.push(b'}');
    } else {
        out.push(b'[');
        for (position, item) in Items::new(stored, count).enumerate() {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            item.print(out);
        }
        out.push(b']');
    }
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = bytes;
    while let Some(plain) = rest.iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(&rest[..plain]);
        let byte = rest[plain];
        match byte {
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
        }
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// A varlena without its header, which is of four bytes, or of one in packed values.
fn without_header(stored: &[u8]) -> &[u8] {
    let short = stored.first().is_some_and(|&first| {
        if cfg!(target_endian = "little") { first & 1 != 0 } else { first & 0x80 != 0 }
    });
    stored.get(if short { 1 } else { 4 }..).unwrap_or_default()
}

/// Header bits of a numeric.
const SPECIAL: u16 = 0xC000;
const SPECIAL_KIND: u16 = 0xF000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_SCALE: u16 = 0x1F80;
const SHORT_SCALE_SHIFT: u16 = 7;
const SHORT_WEIGHT_NEGATIVE: u16 = 0x0040;
const SHORT_WEIGHT: u16 = 0x003F;
const LONG_NEGATIVE: u16 = 0x4000;
const LONG_SCALE: u16 = 0x3FFF;

/// Appends the text of a numeric, given without its varlena header: base 10,000 digits, of which the first counts
/// 10,000 to the power of the weight, and a number of decimals to show.
pub(crate) fn numeric(stored: &[u8], out: &mut Vec<u8>) {
    let two =
        |at: usize| stored.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_ne_bytes);
    let header = two(0);
    if header & SPECIAL == SPECIAL {
        out.extend_from_slice(match header & SPECIAL_KIND {
            POSITIVE_INFINITY => b"Infinity",
            NEGATIVE_INFINITY => b"-Infinity",
            _ => b"NaN",
        });
        return;
    }
    let (negative, scale, weight, first) = if header & SHORT != 0 {
        let weight = i32::from(header & SHORT_WEIGHT);
        let weight = if header & SHORT_WEIGHT_NEGATIVE != 0 { weight - 64 } else { weight };
        (header & SHORT_NEGATIVE != 0, (header & SHORT_SCALE) >> SHORT_SCALE_SHIFT, weight, 2)
    } else {
        (header & SPECIAL == LONG_NEGATIVE, header & LONG_SCALE, i32::from(two(2) as i16), 4)
    };
    let count = stored.len().saturating_sub(first) as i32 / 2;
    let digit = |place: i32| if (0..count).contains(&place) { two(first + place as usize * 2) } else { 0 };
    if negative {
        out.push(b'-');
    }
    if weight < 0 {
        out.push(b'0');
    } else {
        let start = out.len();
        for place in 0..=weight {
            four(digit(place), out);
        }
        let zeros = out[start..].iter().take_while(|&&digit| digit == b'0').count();
        out.drain(start..start + zeros.min(out.len() - start - 1));
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(scale);
        let mut place = weight + 1;
        while out.len() < end {
            four(digit(place), out);
            place += 1;
        }
        out.truncate(end);
    }
}

fn four(digit: u16, out: &mut Vec<u8>) {
    let decimal = |value: u16| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[
        decimal(digit / 1000),
        decimal(digit / 100),
        decimal(digit / 10),
        decimal(digit),
    ]);
}
