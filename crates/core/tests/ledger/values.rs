//! Values: the bytes of each kind, and the way through text and back.

use audit_guard_core::ledger::json::json_members;
use audit_guard_core::ledger::value::{Scalar, Type, US_1970_TO_2000, Value, date_from_2000, time_from_2000};
use proptest::prelude::*;

use super::reference::{encoded, members};

pub(crate) const SCALARS: [Scalar; 15] = [
    Scalar::Bool,
    Scalar::Int,
    Scalar::Numeric,
    Scalar::Float,
    Scalar::Text,
    Scalar::Bytea,
    Scalar::Timestamptz,
    Scalar::Timestamp,
    Scalar::Date,
    Scalar::Time,
    Scalar::Interval,
    Scalar::Uuid,
    Scalar::Inet,
    Scalar::Jsonb,
    Scalar::U64,
];

pub(crate) fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[1-9][0-9]{0,20}(\\.[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof!["[a-c]", any::<String>()];
        let member = (key, inner.clone())
            .prop_map(|(key, value)| format!("{}: {value}", serde_json::Value::String(key)));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(", "))),
        ]
    })
}

pub(crate) fn scalar(scalar: Scalar) -> BoxedStrategy<Value> {
    match scalar {
        Scalar::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Scalar::Int => any::<i64>().prop_map(Value::Int).boxed(),
        Scalar::Numeric => "-?[0-9]{1,30}(\\.[0-9]{1,9})?|NaN|-?Infinity".prop_map(Value::Numeric).boxed(),
        Scalar::Float => any::<f64>().prop_map(Value::Float).boxed(),
        Scalar::Text => any::<String>().prop_map(Value::Text).boxed(),
        Scalar::Bytea => any::<Vec<u8>>().prop_map(Value::Bytea).boxed(),
        Scalar::Timestamptz => any::<i64>().prop_map(Value::Timestamptz).boxed(),
        Scalar::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        Scalar::Date => any::<i32>().prop_map(Value::Date).boxed(),
        Scalar::Time => any::<i64>().prop_map(Value::Time).boxed(),
        Scalar::Interval => any::<(i32, i32, i64)>()
            .prop_map(|(months, days, us)| Value::Interval { months, days, us })
            .boxed(),
        Scalar::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        Scalar::Inet => (any::<bool>(), 0..=32_u8, any::<std::net::IpAddr>())
            .prop_map(|(is_cidr, prefix, address)| Value::Inet { is_cidr, prefix, address })
            .boxed(),
        Scalar::Jsonb => json().prop_map(Value::Jsonb).boxed(),
        Scalar::U64 => any::<u64>().prop_map(Value::U64).boxed(),
    }
}

fn array(element: Scalar) -> impl Strategy<Value = Value> {
    let item = prop_oneof![1 => Just(Value::Null), 4 => scalar(element)];
    prop::collection::vec(item, 0..6).prop_map(move |items| {
        let dims = if items.is_empty() { vec![] } else { vec![(1, 1), (-2, items.len() as u32)] };
        Value::Array { element, dims, items }
    })
}

/// A value of a kind, never NULL.
pub(crate) fn typed() -> impl Strategy<Value = (Type, Value)> {
    prop::sample::select(&SCALARS[..]).prop_flat_map(|kind| {
        prop_oneof![
            3 => scalar(kind).prop_map(move |value| (Type::Scalar(kind), value)),
            1 => array(kind).prop_map(move |value| (Type::Array(kind), value)),
        ]
    })
}

#[test]
fn names_of_types() {
    for scalar in SCALARS {
        for kind in [Type::Scalar(scalar), Type::Array(scalar)] {
            assert_eq!(Type::parse(kind.name()), Some(kind), "{}", kind.name());
        }
        assert_eq!(Type::scalar_of_tag(scalar as u8), Some(scalar));
    }
    for name in ["", "Bool", "array:", "array:array:int", "int ", "xid8"] {
        assert_eq!(Type::parse(name), None, "{name}");
    }
}

#[test]
fn times_of_postgresql() {
    assert_eq!(time_from_2000(0), US_1970_TO_2000);
    assert_eq!(time_from_2000(-US_1970_TO_2000), 0);
    assert_eq!(time_from_2000(i64::MAX), i64::MAX);
    assert_eq!(time_from_2000(i64::MIN), i64::MIN);
    assert_eq!(date_from_2000(0), 10_957);
    assert_eq!(date_from_2000(i32::MAX), i32::MAX);
}

#[test]
fn members_of_objects() {
    let split = |text| json_members(text).map(|members| members.into_iter().map(|m| m.1).collect::<Vec<_>>());
    assert_eq!(split("{}"), Some(vec![]));
    assert_eq!(split(" { } "), Some(vec![]));
    assert_eq!(split(r#"{"a": 1, "b": {"c": [1, "}"]}}"#), Some(vec!["1", r#"{"c": [1, "}"]}"#]));
    assert_eq!(split(r#"{"a":"\\","b":"\",{"}"#), Some(vec![r#""\\""#, r#""\",{""#]));
    assert_eq!(json_members(r#"{"\u0001\"\\\ud83d\ude00ä": 1}"#).unwrap()[0].0, "\u{1}\"\\😀ä".as_bytes());
    for text in [
        "",
        "null",
        "[]",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1}}",
        "{\"a\":1} x",
        "{\"\\ud800\":1}",
        "{\"\\ud800\\u0041\":1}",
        "{\"\\u00g0\":1}",
        "{\"\\u+123\":1}",
        "{\"a\":]}",
        "{\"\\x\":1}",
        "{\"a\":\"}",
        "{a:1}",
    ] {
        assert_eq!(split(text), None, "{text}");
    }
    // Deep, without recursion.
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(split(&deep).unwrap().len(), 1);
}

#[test]
fn what_is_no_portable_value() {
    for (kind, text) in [
        ("bool", "t"),
        ("int", "+1"),
        ("int", "01"),
        ("int", "-0"),
        ("int", "9223372036854775808"),
        ("numeric", ""),
        ("numeric", "1."),
        ("numeric", ".5"),
        ("numeric", "--1"),
        ("numeric", "1e5"),
        ("numeric", "nan"),
        ("float", "7ff800000000000"),
        ("float", "7FF8000000000000"),
        ("bytea", "0"),
        ("bytea", "0g"),
        ("date", "2147483648"),
        ("interval", "1 2"),
        ("interval", "1 2 3 4"),
        ("uuid", "00"),
        ("inet", "::1"),
        ("inet", "1.2.3.4/33"),
        ("inet", "1.2.3.4/032"),
        ("inet", "cidr  1.2.3.4/32"),
        ("u64", "-1"),
        ("array:int", "[1]"),
        ("array:int", r#"{"dims":[[1,2]],"items":["1"]}"#),
        ("array:int", r#"{"dims":[],"items":["1"]}"#),
        ("array:int", r#"{"dims":[[1,1]],"items":[1]}"#),
        ("array:int", r#"{"dims":[[1,1]],"items":["x"]}"#),
        ("array:int", r#"{"dims":[[1,1],[1,1],[1,1],[1,1],[1,1],[1,1],[1,1]],"items":["1"]}"#),
        ("array:int", r#"{"dims":[[1,4294967295],[1,4294967295],[1,4294967295]],"items":["1"]}"#),
    ] {
        let kind = Type::parse(kind).unwrap();
        assert!(Value::parse_portable(kind, text).is_err(), "{} {text}", kind.name());
    }
}

proptest! {
    #[test]
    fn text_and_back((kind, value) in typed()) {
        let text = value.portable().unwrap();
        let read = Value::parse_portable(kind, &text).unwrap();
        prop_assert_eq!(encoded(&read), encoded(&value), "{}", text);
    }

    #[test]
    fn different_values_have_different_bytes((kind, a) in typed(), (other, b) in typed()) {
        let is_same = kind == other && a.portable() == b.portable();
        prop_assume!(!is_same);
        prop_assert_ne!(encoded(&a), encoded(&b));
    }

    #[test]
    fn members_are_those_of_serde_json(text in json()) {
        let expected = members(&text).into_iter().map(|(key, value)| (key.into_bytes(), value));
        let expected: Vec<_> = expected.collect();
        let found = json_members(&text);
        prop_assert_eq!(found.is_some(), text.starts_with('{'));
        let found = found.unwrap_or_default().into_iter().map(|(key, value)| (key, value.to_owned()));
        let found: Vec<_> = found.collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), braces in "[{}\\[\\]\":,\\\\a-z0-9 u]{0,40}") {
        for text in [&text, &braces] {
            for scalar in SCALARS {
                for kind in [Type::Scalar(scalar), Type::Array(scalar)] {
                    if let Ok(value) = Value::parse_portable(kind, text) {
                        let again = Value::parse_portable(kind, &value.portable().unwrap()).unwrap();
                        prop_assert_eq!(encoded(&again), encoded(&value));
                    }
                }
            }
            if serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok() {
                prop_assert!(json_members(text).is_some());
            }
        }
    }
}
