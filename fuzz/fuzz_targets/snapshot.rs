//! Snapshots.
#![no_main]

use audit_guard_core::ledger::snapshot::Snapshot;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(snapshot) = Snapshot::parse(text) {
        assert_eq!(snapshot.to_string(), text);
        assert!(!snapshot.is_finished(snapshot.xmax));
        assert!(snapshot.is_finished(snapshot.xmin - 1));
    }
});
