//! All claims at once: what comes out is JSON that PostgreSQL takes, and says the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use audit_guard_core::request::claims_object;
use proptest::prelude::*;
use serde_json::{Map, Value};

#[test]
fn an_object_stays_as_it_is() {
    for text in [
        "{}",
        " {\"sub\": \"u1\", \"exp\": 1.50, \"app_metadata\": {\"roles\": [\"a\", null, true]}}\n",
        "{\"big\": 12345678901234567890123, \"tiny\": -1e-300}",
        r#"{"a": "\" \\ \/ \n \u0041 \u0022 \u001f \\u0000"}"#,
    ] {
        assert_eq!(claims_object(text).as_deref(), Some(text));
    }
}

#[test]
fn what_is_no_object_gives_nothing() {
    for text in
        ["", " ", "null", "[{}]", "\"sub\"", "{\"a\": 1", "{} {}", "{\"a\": \u{1}}", "{'a': 1}", "{a: 1}"]
    {
        assert_eq!(claims_object(text), None, "{text}");
    }
}

#[test]
fn what_postgresql_cannot_hold_gives_nothing() {
    let many_digits = format!("{{\"a\": 0.{}1}}", "0".repeat(20_000));
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(500), "]".repeat(500));
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20));
    let numbers = ["1e999", "1e-99999", "-1E+0001", "1e-50000"].map(|number| format!("{{\"a\": {number}}}"));
    let halves = [r#"{"a": "\ud800"}"#, r#"{"a": "\udc00\ud800"}"#, r#"{"a": "\ud800x"}"#].map(str::to_owned);
    for text in [many_digits, deep, long].into_iter().chain(numbers).chain(halves) {
        assert_eq!(claims_object(&text), None, "{}", &text[..40.min(text.len())]);
    }
}

#[test]
fn escapes_become_characters_that_every_encoding_can_say_something_about() {
    let text = r#"{"\u00e9": "\u0000 \u4e2d \ud83d\ude00 \\u00e9 \u007f"}"#;
    assert_eq!(claims_object(text).unwrap(), "{\"é\": \"\u{fffd} 中 😀 \\\\u00e9 \\u007f\"}");
}

fn without_zeros(value: Value) -> Value {
    let clean = |text: String| text.replace('\0', "\u{fffd}");
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(all) => all.into_iter().map(without_zeros).collect(),
        Value::Object(all) => {
            let members = all.into_iter().map(|(name, value)| (clean(name), without_zeros(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// JSON in which characters are escaped at random, and what is nearly JSON.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => "[a-z \u{80}-\u{ffff}]",
        1 => "\\\\u(00[0-9a-f]{2}|[0-9A-Ca-c][0-9a-f]{3}|d83[de]\\\\ude0[0-9]|d[89a-f]00)",
        1 => "\\\\[\"\\\\/bfnrt]",
    ];
    let string = prop::collection::vec(character, 0..6).prop_map(|all| format!("\"{}\"", all.concat()));
    let number = "-?[0-9]{1,25}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,5})?".prop_map(String::from);
    let leaf = prop_oneof![string.clone(), number, Just("null".to_owned()), Just("true".to_owned())];
    let value = leaf.prop_recursive(3, 20, 4, move |inner| {
        let member = (string.clone(), inner.clone()).prop_map(|(name, value)| format!("{name}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::vec(member, 0..4).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    });
    prop_oneof![6 => value.prop_map(|value| format!("{{\"a\": {value}}}")), 1 => "(?s).{0,30}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_same_is_said(text in text()) {
        let meant = serde_json::from_str::<Map<String, Value>>(&text).ok().map(Value::Object);
        match claims_object(&text) {
            Some(safe) => {
                let said: Value = serde_json::from_str(&safe).unwrap();
                prop_assert_eq!(said, without_zeros(meant.unwrap()));
                // No zero character, and no escape beyond ASCII, is left.
                let without_pairs = safe.replace("\\\\", "");
                prop_assert!(!without_pairs.contains("\\u0000"));
                let escapes = without_pairs.split("\\u").skip(1);
                for escape in escapes {
                    prop_assert!(escape.starts_with("00") && escape.as_bytes()[2] < b'8', "{}", safe);
                }
            }
            // Only a number that is too much for PostgreSQL is a reason.
            None => prop_assert!(meant.is_none() || text.contains(['e', 'E'])),
        }
    }
}
