//! Redactions, and rows that may not fit them.
#![no_main]

use audit_guard_core::ledger::redaction::{Redaction, Target};
use audit_guard_core::ledger::row::RowHasher;
use audit_guard_core::ledger::schema::PreparedSchema;
use libfuzzer_sys::fuzz_target;

const SCHEMA: PreparedSchema = PreparedSchema { schema_no: 1, sha256: [0; 32] };

/// What stands in the columns 5 and 6, of which the seeds erase something.
const COLUMNS: [Option<&str>; 5] =
    [None, Some("7"), Some("{}"), Some(r#"{"a": 1, "iban": "DE02"}"#), Some(r#"{"a": null, "iban": null}"#)];

fuzz_target!(|bytes: &[u8]| {
    let Ok(redaction) = Redaction::parse(bytes) else { return };
    assert_eq!(redaction.to_bytes(), bytes);
    let mut hasher = RowHasher::new();
    for columns in COLUMNS.iter().flat_map(|fifth| COLUMNS.iter().map(move |sixth| [*fifth, *sixth])) {
        hasher.begin();
        for (no, column) in (5..).zip(columns) {
            match column {
                Some(text) => hasher.jsonb(no, text),
                None => hasher.null(no),
            }
        }
        if hasher.finish_redacted(&SCHEMA, &redaction, 1, 1, 1).is_ok() {
            // Nothing more is erased: it stays as it is.
            assert_eq!(Redaction::erase(&hasher, &[]), Some((redaction.clone(), 0)));
            let _ = Redaction::erase(&hasher, &[Target { field: 5, key: None }]);
        }
    }
});
