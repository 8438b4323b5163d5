//! Signed notes, and the keys that verify them.
#![no_main]

use audit_guard_core::ledger::note::{Note, SignerKey, VerifierKey};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fuzz_target!(|text: &str| {
    if let Ok(note) = Note::parse(text) {
        let lines: String = note.signatures.iter().map(ToString::to_string).collect();
        assert_eq!(format!("{}\n{lines}", note.text), text);
        let _ = VerifierKey::parse(KEY).map(|key| note.verify(&[key]).is_ok());
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = SignerKey::parse(text) {
        assert_eq!(key.secret_text(), text);
    }
});
