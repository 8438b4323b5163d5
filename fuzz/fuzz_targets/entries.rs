//! Lists of a seal's rows: there is one for the same rows.
#![no_main]

use audit_guard_core::ledger::entries::{Entries, EntriesWriter, Entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let rows: Result<Vec<Entry>, _> = Entries::new(bytes).and_then(Iterator::collect);
    if let Ok(rows) = rows {
        let mut writer = EntriesWriter::new();
        assert!(rows.into_iter().all(|row| writer.push(row).is_ok()));
        assert_eq!(writer.finish(), bytes);
    }
});
