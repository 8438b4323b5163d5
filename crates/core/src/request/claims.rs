//! All claims at once, as PostgreSQL can hold them.

use serde_json::{Map, Value};

/// Longer claims are no claims.
const LONGEST: usize = 1 << 20;
/// Longer numbers, with their exponents, are not held by PostgreSQL in all cases.
const LONGEST_NUMBER: usize = 1000;
const LONGEST_EXPONENT: usize = 3;

/// The JSON text of claims so that PostgreSQL's jsonb surely takes it; None for what is no JSON object, and
/// for what jsonb might refuse: numbers beyond a double's range or with very many digits, and very long or
/// very deep texts.
///
/// Escaped characters beyond ASCII become themselves, since a database of another encoding refuses the escape
/// of a character that it does not have; the zero character becomes U+FFFD.
#[must_use]
pub fn claims_object(text: &str) -> Option<String> {
    if text.len() > LONGEST || serde_json::from_str::<Map<String, Value>>(text).is_err() {
        return None;
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut in_string = false;
    let mut number = String::new();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => match rest.next()? {
                'u' => push_escaped(&mut safe, &mut rest)?,
                escaped => safe.extend(['\\', escaped]),
            },
            '"' => {
                in_string = !in_string;
                safe.push('"');
            }
            letter => {
                if !in_string {
                    note_number(&mut number, letter)?;
                }
                safe.push(letter);
            }
        }
    }
    Some(safe)
}

/// Collects the letters of a number; None when it has too many.
fn note_number(number: &mut String, letter: char) -> Option<()> {
    if !letter.is_ascii_digit() && !matches!(letter, '-' | '+' | '.' | 'e' | 'E') {
        number.clear();
        return Some(());
    }
    number.push(letter);
    let exponent = number.split_once(['e', 'E']).map_or("", |(_, exponent)| exponent);
    let digits = exponent.trim_start_matches(['-', '+']).len();
    (number.len() <= LONGEST_NUMBER && digits <= LONGEST_EXPONENT).then_some(())
}

/// The character that four hexadecimal digits mean, or eight in two halves; the text was found to be valid
/// JSON.
fn push_escaped(safe: &mut String, rest: &mut std::str::Chars<'_>) -> Option<()> {
    let first = hex(rest)?;
    let code = match first {
        0xD800..=0xDBFF => {
            let second = rest.nth(1).and_then(|_| hex(rest))?;
            0x10000 + ((first - 0xD800) << 10) + second.checked_sub(0xDC00)?
        }
        first => first,
    };
    match char::from_u32(code)? {
        '\0' => safe.push('\u{FFFD}'),
        letter if letter.is_ascii() => safe.push_str(&format!("\\u{code:04x}")),
        letter => safe.push(letter),
    }
    Some(())
}

fn hex(rest: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |code, _| Some(code << 4 | rest.next()?.to_digit(16)?))
}
