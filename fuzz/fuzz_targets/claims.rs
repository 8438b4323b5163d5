//! The claims of a request: what is given to jsonb is an object, and stays as it is when it is read once more.
#![no_main]

use audit_guard_core::request::claims_object;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(claims) = claims_object(text) {
        assert!(serde_json::from_str::<serde_json::Value>(&claims).is_ok_and(|claims| claims.is_object()));
        assert_eq!(claims_object(&claims).as_ref(), Some(&claims));
    }
});
