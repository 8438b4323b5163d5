//! Receipts: whatever is in one, without a signature it is never `ok`.
#![no_main]

use audit_guard_core::ledger::receipt::{Receipt, Trust, verify};
use audit_guard_core::ledger::verdict::Code;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    assert_ne!(verify(text, &Trust::default()).code, Code::Ok);
    if let Ok(receipt) = Receipt::parse(text) {
        assert_eq!(Receipt::parse(&receipt.to_json()), Ok(receipt));
    }
});
