//! Paths of tiles, and tiles of entries.
#![no_main]

use audit_guard_core::ledger::tile::{Tile, entries, push_entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(tile) = std::str::from_utf8(bytes).ok().and_then(Tile::parse_path) {
        assert_eq!(tile.path().as_bytes(), bytes);
    }
    if let Ok(records) = entries(bytes) {
        let mut again = Vec::new();
        assert!(records.iter().all(|record| push_entry(record, &mut again)));
        assert_eq!(again, bytes);
    }
});
