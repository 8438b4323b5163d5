//! Redactions, and rows that may not fit them.
#![no_main]

use audit_guard_core::ledger::redaction::{Redaction, Target};
use audit_guard_core::ledger::row::RowHasher;
use audit_guard_core::ledger::schema::PreparedSchema;
use libfuzzer_sys::fuzz_target;

const SCHEMA: PreparedSchema = PreparedSchema { schema_no: 1, sha256: [0; 32] };

fuzz_target!(|input: (&[u8], [Option<&str>; 3])| {
    let (bytes, columns) = input;
    let Ok(redaction) = Redaction::parse(bytes) else { return };
    assert_eq!(redaction.to_bytes(), bytes);
    let mut hasher = RowHasher::new();
    hasher.begin();
    for (no, column) in (1..).zip(columns) {
        match column {
            Some(text) => hasher.jsonb(no, text),
            None => hasher.null(no),
        }
    }
    if hasher.finish_redacted(&SCHEMA, &redaction, 1, 1, 1).is_ok() {
        // Nothing more is erased: it stays as it is.
        let again = Redaction::erase(&hasher, &[]);
        assert_eq!(again, Some((redaction, 0)));
        let _ = Redaction::erase(&hasher, &[Target { field: 1, key: None }]);
    }
});
