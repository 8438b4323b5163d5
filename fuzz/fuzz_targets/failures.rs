//! The times of failed logins, as a table keeps them: whatever the bytes are, they are read, counted and written.
#![no_main]

use audit_guard_core::throttle::{DAY, Failures, Moment, Rule};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], i64, Option<u16>, Option<i64>, i32, i32)| {
    let (bytes, at, tag, reset_at, max_attempts, minutes) = input;
    let mut failures = Failures::read(bytes);
    if let Some(written) = failures.write() {
        assert_eq!(Failures::read(&written), failures);
    }
    let moment = Moment { at, reset_at };
    let rule = Rule::new(max_attempts, minutes, true);
    assert!(failures.count(moment, DAY) <= failures.entries().len());
    assert!(failures.count_tags(moment, DAY) <= failures.count(moment, DAY));
    if failures.has_room(moment, rule) {
        assert_eq!(failures.block_began(moment, rule), None);
        assert_eq!(failures.retry_after(moment, rule), 0);
    }
    failures.add(at, tag);
    failures.remove(at, tag);
    let again = failures.write().map(|bytes| Failures::read(&bytes)).unwrap_or_default();
    assert_eq!(again.entries(), failures.entries());
});
