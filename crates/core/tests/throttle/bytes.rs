//! The bytes in which failures are kept.

use audit_guard_core::throttle::{Failures, PLAIN_LIMIT, TAGGED_LIMIT};
use proptest::prelude::*;

fn bytes(all: &[(i64, Option<u16>)]) -> Vec<u8> {
    Failures::collect(all.iter().copied()).write().unwrap()
}

#[test]
fn the_format_is_what_it_always_was() {
    // 2026-11-21 10:00:00 UTC is 848 570 400 000 000.
    let at = 848_570_400_000_000;
    assert_eq!(bytes(&[(at, None)]), [0x13, 0x03, 0xc5, 0x31, 0x42, 0x48, 0x00]);
    assert_eq!(
        bytes(&[(at + 1_000_000, None), (at, None), (at + 1_000_000, None), (at + 1_000_127, None)]),
        [0x13, 0x03, 0xc5, 0x31, 0x42, 0x48, 0x00, 0xc0, 0x84, 0x3d, 0x00, 0x7f]
    );
    assert_eq!(
        bytes(&[(at, Some(0x1267)), (at + 128, None)]),
        [0x23, 0x03, 0xc5, 0x31, 0x42, 0x48, 0x00, 0x12, 0x67, 0x80, 0x01, 0x00, 0x00]
    );
    assert_eq!(bytes(&[(0, None)]), [0x10, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes(&[((1 << 52) - 1, None)]), [0x1f, 255, 255, 255, 255, 255, 255]);
}

#[test]
fn what_is_not_of_ours_counts_as_none() {
    let good = bytes(&[(1000, Some(7)), (5000, Some(8))]);
    assert_eq!(Failures::read(&good).entries().len(), 2);
    for length in 0..good.len() {
        let cut = Failures::read(&good[..length]);
        // The first entry is whole when only the second one is cut off completely.
        assert_eq!(cut.entries().len(), usize::from(length == 9), "{length}");
    }
    let mut longer = good.clone();
    longer.push(1);
    let cases: [&[u8]; 8] = [
        &longer,
        &[0x00, 0, 0, 0, 0, 0, 1],
        &[0x30, 0, 0, 0, 0, 0, 1],
        &[0xf0, 0, 0, 0, 0, 0, 1],
        // A distance that is not as short as it can be, one without an end, and one beyond all times.
        &[0x10, 0, 0, 0, 0, 0, 1, 0x81, 0x00],
        &[0x10, 0, 0, 0, 0, 0, 1, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x01],
        &[0x1f, 255, 255, 255, 255, 255, 255, 0x01],
        &[0x10, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ];
    for case in cases {
        assert_eq!(Failures::read(case), Failures::default(), "{case:x?}");
    }
}

#[test]
fn a_counter_stays_small() {
    let minutes = |count: i64| (0..count).map(|minute| (minute * 60_000_000 + 848_570_400_000_000, None));
    let size = |count| Failures::collect(minutes(count)).write().unwrap().len();
    assert_eq!((size(1), size(5), size(200)), (7, 23, 403));
    let tagged = minutes(300).map(|(at, _)| (at, Some(9)));
    assert_eq!(Failures::collect(tagged).write().unwrap().len(), 7 + 199 * 4 + 2 * 200);
    assert_eq!((PLAIN_LIMIT, TAGGED_LIMIT), (100, 200));
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes: Vec<u8>, form in 0_u8..4) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = (*first & 0x0F) | (form << 4);
        }
        let failures = Failures::read(&bytes);
        prop_assert!(failures.entries().is_sorted_by_key(|entry| entry.at));
        match failures.write() {
            // What can be read is written in the same way.
            Some(written) => prop_assert_eq!(written, bytes),
            None => prop_assert_eq!(failures, Failures::default()),
        }
    }

    #[test]
    fn what_is_written_is_read(
        all in prop::collection::vec((0_i64..1 << 52, prop::option::of(any::<u16>())), 0..250),
    ) {
        let failures = Failures::collect(all);
        let read = failures.write().map(|bytes| Failures::read(&bytes)).unwrap_or_default();
        prop_assert_eq!(read, failures);
    }
}
