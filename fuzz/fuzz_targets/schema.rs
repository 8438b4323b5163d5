//! Schema definitions: there is one text for the same schema.
#![no_main]

use audit_guard_core::ledger::schema::Schema;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(schema) = Schema::parse(text) {
        assert_eq!(schema.definition(), text);
    }
});
