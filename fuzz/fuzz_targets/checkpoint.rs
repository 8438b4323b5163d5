//! Checkpoints, signed or not.
#![no_main]

use audit_guard_core::ledger::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
        assert_eq!(Checkpoint::parse_any(text), Ok(checkpoint));
    }
    let _ = Checkpoint::parse_any(text);
});
