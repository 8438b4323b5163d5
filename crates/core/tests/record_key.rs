//! The text of keys: golden cases, and `serde_json` as the independent reference.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use audit_guard_core::record_key::{
    KeyError, KeyPart, MAX_KEY_BYTES, encode_composite, fit, parse_composite,
};
use proptest::prelude::*;
use serde_json::Value;

fn encode(parts: &[KeyPart<'_>]) -> String {
    let mut out = String::new();
    encode_composite(parts, &mut out);
    out
}

fn texts(elements: &[&str]) -> Vec<Option<String>> {
    elements.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn one_part_of_each_kind() {
    let parts = [
        KeyPart::Number("7"),
        KeyPart::Text("a"),
        KeyPart::Bool(true),
        KeyPart::Bool(false),
        KeyPart::Null,
        KeyPart::Json("{\"a\": [1]}"),
    ];
    assert_eq!(encode(&parts), r#"[7,"a",true,false,null,{"a": [1]}]"#);
    assert_eq!(encode(&[]), "[]");
}

#[test]
fn encoding_appends() {
    let mut out = "key ".to_owned();
    encode_composite(&[KeyPart::Number("-1.50")], &mut out);
    assert_eq!(out, "key [-1.50]");
}

#[test]
fn numbers_that_json_lacks_are_strings() {
    let parts = [KeyPart::Number("NaN"), KeyPart::Number("-Infinity"), KeyPart::Number("1e+20")];
    assert_eq!(encode(&parts), r#"["NaN","-Infinity",1e+20]"#);
}

#[test]
fn strings_are_escaped_like_serde_json() {
    let every_ascii: String = (0_u8..128).map(char::from).collect();
    for text in [every_ascii.as_str(), "", "\"", "\\\\", "Zoë 🦀\u{2028}\u{7f}", "a\nb\"c"] {
        let expected = serde_json::to_string(&[text]).unwrap();
        assert_eq!(encode(&[KeyPart::Text(text)]), expected);
    }
}

#[test]
fn arrays_are_read_with_any_spacing() {
    assert_eq!(parse_composite("[7,3]", 2), Ok(texts(&["7", "3"])));
    assert_eq!(parse_composite(" [ 7 ,\n\t\"a\" ] ", 2), Ok(texts(&["7", "a"])));
    assert_eq!(parse_composite("[]", 0), Ok(vec![]));
    assert_eq!(parse_composite("[null, true, \"\"]", 3).unwrap()[0], None);
    assert_eq!(parse_composite("[null, true, \"\"]", 3).unwrap()[1..], texts(&["true", ""]));
    assert_eq!(parse_composite(r#"["null"]"#, 1), Ok(texts(&["null"])));
    assert_eq!(parse_composite(r#"["\u00e9\n", [1, 2]]"#, 2), Ok(texts(&["é\n", "[1, 2]"])));
}

#[test]
fn numbers_keep_every_digit() {
    let number = "123456789012345678901234567890.000000000000000000000000010";
    assert_eq!(parse_composite(&format!("[{number}, 1e400]"), 2), Ok(texts(&[number, "1e400"])));
}

#[test]
fn what_is_no_array_is_refused() {
    for text in
        ["", "7", "a", "{\"a\":1}", "[1,2", "[1,]", "[1] 2", "[01]", "['a']", "null", "\"[1]\"", "[1,2]x"]
    {
        let error = parse_composite(text, 2).unwrap_err();
        assert_eq!(error, KeyError::NotAnArray { arity: 2 }, "{text}");
        assert_eq!(error.to_string(), "a key of 2 columns is written as a JSON array of 2 elements");
        assert!(error.hint().is_some());
    }
}

#[test]
fn another_number_of_elements_is_refused() {
    let error = parse_composite("[1,2,3]", 2).unwrap_err();
    assert_eq!(error, KeyError::WrongArity { arity: 2, found: 3 });
    assert_eq!(error.to_string(), "a key of 2 columns needs 2 elements, the array has 3");
    assert!(parse_composite("[]", 2).is_err());
}

#[test]
fn characters_that_no_text_has_are_refused() {
    for text in [r#"["a", "b\u0000"]"#, r#"[1, "\ud800"]"#] {
        let error = parse_composite(text, 2).unwrap_err();
        assert_eq!(error, KeyError::NotText { position: 2 }, "{text}");
        assert_eq!(error.hint(), None);
        assert!(!error.to_string().contains("b\\u"));
    }
}

#[test]
fn depth_is_no_way_to_crash() {
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(parse_composite(&deep, 1).unwrap()[0].as_ref().unwrap().len(), 200_000);
}

#[derive(Debug, Clone)]
enum Part {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::Null),
        any::<bool>().prop_map(Part::Bool),
        any::<i64>().prop_map(Part::Number),
        "(?s)[^\0]{0,20}".prop_map(Part::Text),
        "[\"\\\\\u{1}-\u{1f}a]{0,10}".prop_map(Part::Text),
    ]
}

#[test]
fn a_key_is_kept_up_to_the_limit_and_hashed_beyond_it() {
    let longest = vec![b'k'; MAX_KEY_BYTES];
    assert_eq!(fit(&longest), longest.as_slice());
    assert_eq!(fit(b""), b"".as_slice());
    // SHA-256 of one million times the letter a, from FIPS 180-2.
    assert_eq!(
        fit(&vec![b'a'; 1_000_000]),
        b"sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0".as_slice()
    );
}

proptest! {
    #[test]
    fn keys_round_trip_and_serde_json_agrees(parts in prop::collection::vec(part(), 0..6)) {
        let numbers: Vec<String> = parts.iter().map(|part| match part {
            Part::Number(number) => number.to_string(),
            _ => String::new(),
        }).collect();
        let key: Vec<KeyPart<'_>> = parts
            .iter()
            .zip(&numbers)
            .map(|(part, number)| match part {
                Part::Null => KeyPart::Null,
                Part::Bool(value) => KeyPart::Bool(*value),
                Part::Number(_) => KeyPart::Number(number),
                Part::Text(text) => KeyPart::Text(text),
            })
            .collect();
        let reference = Value::Array(parts.iter().map(|part| match part {
            Part::Null => Value::Null,
            Part::Bool(value) => Value::from(*value),
            Part::Number(number) => Value::from(*number),
            Part::Text(text) => Value::from(text.clone()),
        }).collect());

        let encoded = encode(&key);
        prop_assert_eq!(&encoded, &reference.to_string());

        let expected: Vec<Option<String>> = parts.iter().map(|part| match part {
            Part::Null => None,
            Part::Bool(value) => Some(value.to_string()),
            Part::Number(number) => Some(number.to_string()),
            Part::Text(text) => Some(text.clone()),
        }).collect();
        prop_assert_eq!(parse_composite(&encoded, parts.len()), Ok(expected.clone()));
        let spaced = serde_json::to_string_pretty(&reference).unwrap();
        prop_assert_eq!(parse_composite(&spaced, parts.len()), Ok(expected));
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(?s).*", arity in 0_usize..4) {
        let parsed = parse_composite(&text, arity);
        prop_assert!(parsed.is_err() || parsed.unwrap().len() == arity);
    }

    #[test]
    fn text_like_a_key_never_panics(text in "\\[([0-9\"\\\\u,\\]\\[ nul]{0,20})\\]?", arity in 0_usize..4) {
        let _ = parse_composite(&text, arity);
    }
}
