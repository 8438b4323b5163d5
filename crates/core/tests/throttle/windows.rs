//! Counting within windows, and what follows from it.

use super::model::Model;
use audit_guard_core::throttle::{DAILY_LIMIT, DAY, Failures, MINUTE, Moment, Rule};
use proptest::prelude::*;

/// 2026-11-21 10:00:00 UTC.
const NOW: i64 = 848_570_400_000_000;
const SECOND: i64 = 1_000_000;
const WINDOW: i64 = 15 * MINUTE;

fn seconds(all: impl IntoIterator<Item = i64>) -> Failures {
    Failures::collect(all.into_iter().map(|at| (NOW + at * SECOND, None)))
}

fn moment(at: i64) -> Moment {
    Moment { at: NOW + at * SECOND, reset_at: None }
}

fn rule() -> Rule {
    Rule::new(5, 15, false)
}

#[test]
fn a_failure_counts_for_exactly_its_window() {
    let failures = seconds([0]);
    let count = |at| failures.count(Moment { at: NOW + at, reset_at: None }, WINDOW);
    assert_eq!((count(0), count(WINDOW - 1), count(WINDOW)), (1, 1, 0));
    // A little ahead, too.
    assert_eq!((count(-WINDOW), count(-WINDOW - 1)), (1, 0));
}

#[test]
fn a_reset_forgives_what_was_before() {
    let failures = seconds([0, 10, 20]);
    let count = |reset: i64, at: i64| {
        failures.count(Moment { reset_at: Some(NOW + reset * SECOND), ..moment(at) }, WINDOW)
    };
    assert_eq!((count(-1, 30), count(0, 30), count(10, 30), count(20, 30)), (3, 2, 1, 0));
    // Unless it was made by a clock that has been set back since.
    assert_eq!((count(60, 30), count(60, 60)), (3, 0));
}

#[test]
fn times_without_end_count_as_nothing() {
    let failures = seconds([0, 1]);
    for at in [i64::MIN, i64::MAX] {
        let never = Moment { at, reset_at: None };
        assert_eq!(failures.count(never, DAY), 0);
        assert!(failures.has_room(never, rule()));
        assert_eq!((failures.block_began(never, rule()), failures.retry_after(never, rule())), (None, 0));
        let reset = Moment { reset_at: Some(at), ..moment(2) };
        assert_eq!(failures.count(reset, DAY), 2);
    }
}

#[test]
fn five_failures_are_room_for_no_more() {
    let four = seconds([0, 60, 120, 180]);
    assert!(four.has_room(moment(200), rule()) && four.retry_after(moment(200), rule()) == 0);
    let five = seconds([0, 60, 120, 180, 240]);
    assert!(!five.has_room(moment(250), rule()));
    assert_eq!(five.block_began(moment(250), rule()), Some(NOW + 240 * SECOND));
    assert_eq!(five.retry_after(moment(250), rule()), 650);
    assert!(!five.has_room(moment(899), rule()) && five.has_room(moment(900), rule()));
    assert_eq!(five.retry_after(Moment { at: NOW + 900 * SECOND - 1, reset_at: None }, rule()), 1);
}

#[test]
fn a_hundred_failures_in_a_day_are_too_many() {
    let slow = seconds((0..DAILY_LIMIT as i64).map(|number| number * 800));
    let at = moment(80_000);
    let daily = Rule { daily: true, ..rule() };
    assert!(slow.has_room(at, rule()) && !slow.has_room(at, daily));
    assert_eq!((slow.retry_after(at, rule()), slow.retry_after(at, daily)), (0, 6400));
    assert!(slow.has_room(moment(86_400), daily));
}

#[test]
fn a_block_begins_once() {
    // The sixth failure comes when the first has just left the window: one block, without a gap.
    let touching = seconds([0, 1, 2, 3, 4, 900]);
    assert_eq!(touching.block_began(moment(900), rule()), Some(NOW + 4 * SECOND));
    // A second later two have left it.
    let apart = seconds([0, 1, 2, 3, 4, 901]);
    assert_eq!(apart.block_began(moment(901), rule()), None);
    let again = seconds([0, 1, 2, 3, 4, 902, 903, 904, 905, 906]);
    assert_eq!(again.block_began(moment(910), rule()), Some(NOW + 906 * SECOND));
}

#[test]
fn a_flood_is_one_block() {
    let mut failures = Failures::default();
    let mut reports = Vec::new();
    for second in 0..4 * 3600 {
        failures.add(NOW + second * SECOND, None);
        if let Some(began) = failures.block_began(moment(second), rule())
            && reports.last().is_none_or(|reported| *reported < began)
        {
            reports.push(NOW + second * SECOND);
        }
    }
    assert!(reports.len() <= 16, "{}", reports.len());
}

#[test]
fn different_accounts_are_counted_once() {
    let failures = Failures::collect(
        [(0, 1), (10, 2), (20, 1), (2000, 3)].map(|(at, tag)| (NOW + at * SECOND, Some(tag))),
    );
    assert_eq!(failures.count_tags(moment(30), WINDOW), 2);
    assert_eq!(failures.count_tags(moment(905), WINDOW), 2);
    assert_eq!(failures.count_tags(moment(2000), WINDOW), 1);
}

#[test]
fn a_rule_without_sense_lets_nobody_in_and_breaks_nothing() {
    for (max, minutes) in [(0, 15), (-1, 15), (5, 0), (5, -7), (i32::MAX, i32::MAX), (i32::MIN, i32::MIN)] {
        let rule = Rule::new(max, minutes, true);
        let failures = seconds(0..100);
        let _ = failures.has_room(moment(50), rule);
        let _ = failures.block_began(moment(50), rule);
        assert!(failures.retry_after(moment(50), rule) >= 0);
    }
    assert!(!Failures::default().has_room(moment(0), Rule::new(0, 15, false)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn windows_are_as_the_model_has_them(
        steps in prop::collection::vec((-30..90_i64, 0..4_u16), 0..250),
        is_tagged: bool,
        max in 1..=100_i32,
        few in 1..=8_i32,
        is_few: bool,
        minutes in prop_oneof![1..=5, 1..=60, 1..=1440_i32],
        (reset, at) in (prop::option::of(-2000..20_000_i64), -2000..20_000_i64),
        micros in 0..SECOND,
    ) {
        let (mut failures, mut model, mut clock) = (Failures::default(), Model::default(), NOW);
        for (later, tag) in steps {
            clock += later * SECOND;
            failures.add(clock, is_tagged.then_some(tag));
            model.add(clock, is_tagged.then_some(tag));
        }
        let max = if is_few { few } else { max };
        let (at, reset) = (NOW + at * SECOND + micros, reset.map(|reset| NOW + reset * SECOND));
        let (moment, rule) = (Moment { at, reset_at: reset }, Rule::new(max, minutes, false));
        let window = i64::from(minutes) * MINUTE;

        let counted = model.counted(reset, at, window);
        prop_assert_eq!(failures.count(moment, window), counted.len());
        let tags: std::collections::BTreeSet<u16> = counted.iter().map(|entry| entry.tag).collect();
        prop_assert_eq!(failures.count_tags(moment, window), tags.len());
        prop_assert_eq!(failures.has_room(moment, rule), counted.len() < max as usize);
        let in_a_day = model.counted(reset, at, DAY).len();
        let daily = Rule { daily: true, ..rule };
        let has_room = counted.len() < max as usize && in_a_day < DAILY_LIMIT;
        prop_assert_eq!(failures.has_room(moment, daily), has_room);
        prop_assert_eq!(
            failures.block_began(moment, rule),
            model.block_began(reset, at, max as usize, window)
        );

        // Of the failures that count now, so many have left the window by then, and not a second before.
        for (rule, has_room) in [(rule, counted.len() < max as usize), (daily, has_room)] {
            let wait = failures.retry_after(moment, rule);
            prop_assert_eq!(wait == 0, has_room);
            let left = |entries: &[audit_guard_core::throttle::Entry], window: i64, wait: i64| {
                entries.iter().filter(|entry| entry.at + window > at + wait * SECOND).count()
            };
            let is_free = |wait| {
                left(&counted, window, wait) < max as usize
                    && (!rule.daily || left(&model.counted(reset, at, DAY), DAY, wait) < DAILY_LIMIT)
            };
            prop_assert!(is_free(wait));
            prop_assert!(wait == 0 || !is_free(wait - 1));
        }
    }
}
