//! Proofs of inclusion as text.
#![no_main]

use audit_guard_core::ledger::tlog_proof::TlogProof;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(proof.to_string(), text);
        let _ = proof.verify(&[7; 32], &[]);
    }
});
