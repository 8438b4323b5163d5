//! Snapshots and what lies between two.

use audit_guard_core::ledger::snapshot::{Snapshot, Window};
use proptest::prelude::*;

#[test]
fn texts() {
    let snapshot = Snapshot::parse("10:20:10,14,15").unwrap();
    assert_eq!((snapshot.xmin, snapshot.xmax), (10, 20));
    let unfinished: Vec<u64> = (1..30).filter(|id| !snapshot.is_finished(*id)).collect();
    assert_eq!(unfinished, [10, 14, 15, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
    assert_eq!(snapshot.to_string(), "10:20:10,14,15");
    let first = Snapshot::parse("3:3:").unwrap();
    assert!(first.is_finished(2) && !first.is_finished(3));
    for text in [
        "",
        "3:3",
        "3:2:",
        "0:3:",
        "3:9:4,4",
        "3:9:5,4",
        "3:9:2",
        "3:9:9",
        "3:9:,",
        "3:9:4,",
        "+3:9:",
        "03:9:",
        "3:9:4:",
        " 3:9:",
        "18446744073709551616:18446744073709551616:",
        "-1:3:",
        "3:9:04",
    ] {
        assert!(Snapshot::parse(text).is_err(), "{text}");
    }
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    (1_u64..30, prop::collection::btree_set(0_u64..15, 0..6), 0_u64..4).prop_map(|(xmin, xip, more)| {
        let xip: Vec<u64> = xip.into_iter().map(|offset| xmin + offset).collect();
        let xmax = xip.last().map_or(xmin, |last| last + 1) + more;
        Snapshot { xmin, xmax, xip }
    })
}

proptest! {
    #[test]
    fn a_window_is_its_late_ones_and_its_range(prev in snapshot(), next in snapshot()) {
        let window = Window { prev, next };
        // The snapshots of one server follow each other: what has finished stays finished.
        prop_assume!((0..60).all(|id| !window.prev.is_finished(id) || window.next.is_finished(id)));
        let by_definition: Vec<u64> = (0..60).filter(|id| window.contains(*id)).collect();
        let in_range = window.range().filter(|id| window.contains(*id));
        let by_parts: Vec<u64> = window.late().chain(in_range).collect();
        prop_assert_eq!(by_definition, by_parts);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9:,]{0,20}|\\PC*") {
        if let Ok(snapshot) = Snapshot::parse(&text) {
            prop_assert_eq!(snapshot.to_string(), text);
        }
    }

    #[test]
    fn text_and_back(snapshot in snapshot()) {
        prop_assert_eq!(Snapshot::parse(&snapshot.to_string()), Ok(snapshot));
    }
}
