//! Which failures are kept.

use super::model::Model;
use audit_guard_core::throttle::{DAY, Failures, MINUTE, Moment, PLAIN_LIMIT};
use proptest::prelude::*;

/// 2026-11-21 10:00:00 UTC.
const NOW: i64 = 848_570_400_000_000;

fn times(failures: &Failures) -> Vec<i64> {
    failures.entries().iter().map(|entry| entry.at - NOW).collect()
}

fn with(all: impl IntoIterator<Item = i64>) -> Failures {
    let mut failures = Failures::default();
    for at in all {
        failures.add(NOW + at, None);
    }
    failures
}

#[test]
fn failures_are_kept_in_order_and_more_than_once() {
    assert_eq!(times(&with([5, 3, 5, 4, 3])), [3, 3, 4, 5, 5]);
}

#[test]
fn a_time_that_cannot_be_kept_adds_none() {
    for at in [i64::MIN, i64::MAX, -1, 1 << 52] {
        let mut failures = with([1]);
        failures.add(at, Some(1));
        assert_eq!(failures, with([1]), "{at}");
        assert_eq!(Failures::collect([(at, None)]), Failures::default(), "{at}");
        failures.remove(at, None);
        assert_eq!(failures, with([1]), "{at}");
    }
}

#[test]
fn what_is_older_than_a_day_goes() {
    assert_eq!(times(&with([0, 1, DAY, DAY + 1])), [1, DAY, DAY + 1]);
    // Something old that comes late takes nothing away.
    assert_eq!(times(&with([3 * DAY, 0])), [0, 3 * DAY]);
}

#[test]
fn the_latest_hundred_are_kept() {
    let failures = with(0..150);
    assert_eq!(times(&failures), (50..150).collect::<Vec<_>>());
    assert_eq!(failures, Failures::collect((0..150).rev().map(|at| (NOW + at, None))));
}

#[test]
fn a_clock_that_is_set_back_gives_no_more_tries() {
    // A hundred failures from a clock that went wrong, far ahead or near.
    for ahead in [365 * DAY, 2 * DAY, DAY, 2 * 60 * MINUTE, MINUTE, 1, 0] {
        for window in [MINUTE, 15 * MINUTE, DAY] {
            let mut failures = with((0..PLAIN_LIMIT as i64).map(|at| at + ahead));
            for tries in 1..=20_usize {
                failures.add(NOW + tries as i64, None);
                let moment = Moment { at: NOW + tries as i64, reset_at: None };
                assert!(failures.count(moment, window) >= tries, "{ahead} {window} {tries}");
            }
        }
    }
}

#[test]
fn a_clock_that_is_set_back_blocks_nobody_for_ever() {
    let failures = with([10 * DAY; 5]);
    assert_eq!(failures.count(Moment { at: NOW, reset_at: None }, 15 * MINUTE), 0);
    assert_eq!(failures.count(Moment { at: NOW + 10 * DAY - 15 * MINUTE, reset_at: None }, 15 * MINUTE), 5);
}

#[test]
fn one_failure_is_taken_back() {
    let mut failures = with([1, 2, 2, 3]);
    failures.remove(NOW + 2, None);
    assert_eq!(times(&failures), [1, 2, 3]);
    failures.remove(NOW + 4, None);
    failures.remove(NOW + 2, Some(9));
    assert_eq!(times(&failures), [1, 2, 3]);
    for at in 1..=3 {
        failures.remove(NOW + at, None);
    }
    assert_eq!(failures.write(), None);
}

#[test]
fn tags_say_which_failure_it_was() {
    let mut failures = Failures::default();
    for tag in [7, 8, 7] {
        failures.add(NOW, Some(tag));
    }
    failures.remove(NOW, Some(7));
    assert_eq!(failures.entries().iter().map(|entry| entry.tag).collect::<Vec<_>>(), [7, 8]);
    // One without a tag joins those that have one.
    failures.add(NOW, None);
    assert_eq!(failures.entries().iter().map(|entry| entry.tag).collect::<Vec<_>>(), [0, 7, 8]);
}

#[derive(Debug, Clone)]
enum Step {
    Add(i64, Option<u16>),
    Remove(usize, bool),
    RemoveAt(i64, Option<u16>),
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let tag = || prop::option::weighted(0.4, 0_u16..4);
    let near = prop_oneof![3 => 0..MINUTE, 1 => -6 * MINUTE..MINUTE, 1 => -2 * DAY..2 * DAY];
    let clock = prop_oneof![
        6 => 0..10 * MINUTE,
        2 => -10 * MINUTE..10 * MINUTE,
        1 => -3 * DAY..3 * DAY,
        1 => Just(0),
    ];
    prop_oneof![
        12 => (near.clone(), tag()).prop_map(|(at, tag)| Step::Add(at, tag)),
        1 => Just(Step::Add(i64::MAX / 2, None)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, tag)| Step::Remove(which, tag)),
        1 => (near, tag()).prop_map(|(at, tag)| Step::RemoveAt(at, tag)),
        4 => clock.prop_map(Step::Clock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Through the bytes after every step, as the server does it.
    #[test]
    fn what_is_kept_is_what_the_model_keeps(steps in prop::collection::vec(step(), 0..300)) {
        let (mut model, mut bytes, mut clock) = (Model::default(), None::<Vec<u8>>, NOW);
        for step in steps {
            let mut failures = bytes.as_deref().map(Failures::read).unwrap_or_default();
            match step {
                Step::Add(at, tag) => {
                    model.add(clock + at, tag);
                    failures.add(clock + at, tag);
                }
                Step::Remove(which, with_tag) => {
                    if model.kept.is_empty() { continue }
                    let entry = model.kept[which % model.kept.len()];
                    model.remove(entry.at, with_tag.then_some(entry.tag));
                    failures.remove(entry.at, with_tag.then_some(entry.tag));
                }
                Step::RemoveAt(at, tag) => {
                    model.remove(clock + at, tag);
                    failures.remove(clock + at, tag);
                }
                Step::Clock(by) => clock += by,
            }
            prop_assert_eq!(failures.entries(), model.kept.as_slice());
            bytes = failures.write();
        }
    }

    /// As long as the clock only goes on, what was dropped would never have counted again.
    #[test]
    fn nothing_that_counts_is_forgotten(
        steps in prop::collection::vec((0..20 * MINUTE, 0..MINUTE), 0..250),
        window in 1_i64..=1440,
    ) {
        let (mut all, mut failures, mut clock) = (Model::default(), Failures::default(), NOW);
        for (later, late) in steps {
            clock += later;
            failures.add(clock - late, None);
            all.kept.push(audit_guard_core::throttle::Entry { at: clock - late, tag: 0 });
            let counted = failures.count(Moment { at: clock, reset_at: None }, window * MINUTE);
            let truly = all.counted(None, clock, window * MINUTE).len();
            prop_assert_eq!(counted, truly.min(PLAIN_LIMIT));
        }
    }

    /// Whatever the clock did before, tries count from the moment on in which it goes right.
    #[test]
    fn no_clock_gives_more_tries(
        before in prop::collection::vec(-3 * DAY..3 * DAY, 0..150),
        after in prop::collection::vec(0..MINUTE / 2, 1..120),
        window in 1_i64..=1440,
    ) {
        let mut failures = with(before);
        let (mut clock, mut made) = (NOW, Vec::new());
        for later in after {
            clock += later;
            failures.add(clock, None);
            made.push(clock);
            let truly = made.iter().filter(|&&at| at > clock - window * MINUTE).count();
            let counted = failures.count(Moment { at: clock, reset_at: None }, window * MINUTE);
            prop_assert!(counted >= truly.min(PLAIN_LIMIT), "{} of {}", counted, truly);
        }
    }
}
