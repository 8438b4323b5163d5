//! Values as text, of every type, and the members of objects.
#![no_main]

use audit_guard_core::ledger::json::json_members;
use audit_guard_core::ledger::value::{Type, Value};
use libfuzzer_sys::fuzz_target;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fuzz_target!(|input: (u8, &str)| {
    let (tag, text) = input;
    let _ = json_members(text);
    let Some(scalar) = Type::scalar_of_tag(tag & 0x1f) else { return };
    let kind = if tag & 0x80 == 0 { Type::Scalar(scalar) } else { Type::Array(scalar) };
    if let Ok(value) = Value::parse_portable(kind, text) {
        let again = value.portable().map(|text| Value::parse_portable(kind, &text));
        assert!(again.is_some_and(|again| again.is_ok_and(|again| encoded(&again) == encoded(&value))));
    }
});
