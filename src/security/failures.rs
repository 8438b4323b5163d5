//! The times of failed logins, as they stand in the counters.
//!
//! A time is a timestamptz as the server has it. No failures are NULL.

use audit_guard_core::throttle::{Failures, MINUTE, Moment, Rule};
use pgrx::prelude::*;

/// Adds a failure; an infinite time adds none.
#[pg_extern(sql = false, immutable)]
fn add_failure(failures: Option<&[u8]>, at: Option<i64>, tag: Option<i32>) -> Option<Vec<u8>> {
    let mut known = read(failures);
    if let Some(at) = at {
        known.add(at, tag.map(to_tag));
    }
    known.write()
}

/// Takes one failure of exactly this time back.
#[pg_extern(sql = false, immutable)]
fn remove_failure(failures: Option<&[u8]>, at: Option<i64>, tag: Option<i32>) -> Option<Vec<u8>> {
    let mut known = read(failures);
    if let Some(at) = at {
        known.remove(at, tag.map(to_tag));
    }
    known.write()
}

/// Failures from arrays in any order; the tags go with the times.
#[pg_extern(sql = false, immutable)]
fn failures_of(times: Option<Vec<Option<i64>>>, tags: Option<Vec<Option<i32>>>) -> Option<Vec<u8>> {
    let has_tags = tags.is_some();
    let tags = tags.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
    let both = times.unwrap_or_default().into_iter().zip(tags);
    let tag = |tag: Option<i32>| has_tags.then(|| tag.map_or(0, to_tag));
    Failures::collect(both.filter_map(|(at, given)| Some((at?, tag(given))))).write()
}

/// How many failures count at a moment.
#[pg_extern(sql = false, immutable)]
fn failures_in(
    failures: Option<&[u8]>,
    reset_at: Option<i64>,
    at: Option<i64>,
    window_minutes: Option<i32>,
) -> i32 {
    let Some((at, minutes)) = at.zip(window_minutes) else { return 0 };
    count(read(failures).count(Moment { at, reset_at }, window(minutes)))
}

/// How many different accounts they were.
#[pg_extern(sql = false, immutable)]
fn accounts_in(failures: Option<&[u8]>, at: Option<i64>, window_minutes: Option<i32>) -> i32 {
    let Some((at, minutes)) = at.zip(window_minutes) else { return 0 };
    count(read(failures).count_tags(Moment { at, reset_at: None }, window(minutes)))
}

/// Whether another try may be made; NULL when nobody says when or by which rule.
#[pg_extern(sql = false, immutable)]
fn has_room(
    failures: Option<&[u8]>,
    reset_at: Option<i64>,
    at: Option<i64>,
    max_attempts: Option<i32>,
    window_minutes: Option<i32>,
    daily: Option<bool>,
) -> Option<bool> {
    let rule = Rule::new(max_attempts?, window_minutes?, daily == Some(true));
    Some(read(failures).has_room(Moment { at: at?, reset_at }, rule))
}

/// The time of the latest failure.
#[pg_extern(sql = false, immutable)]
fn newest_failure(failures: Option<&[u8]>) -> Option<i64> {
    read(failures).newest()
}

/// When the block began that is in force; NULL when there is none.
#[pg_extern(sql = false, immutable)]
fn block_began(
    failures: Option<&[u8]>,
    reset_at: Option<i64>,
    at: Option<i64>,
    max_attempts: Option<i32>,
    window_minutes: Option<i32>,
) -> Option<i64> {
    let rule = Rule::new(max_attempts?, window_minutes?, false);
    read(failures).block_began(Moment { at: at?, reset_at }, rule)
}

/// In how many seconds another try may be made; NULL when nobody says when or by which rule.
#[pg_extern(sql = false, immutable)]
fn retry_after(
    failures: Option<&[u8]>,
    reset_at: Option<i64>,
    at: Option<i64>,
    max_attempts: Option<i32>,
    window_minutes: Option<i32>,
    daily: Option<bool>,
) -> Option<i32> {
    let rule = Rule::new(max_attempts?, window_minutes?, daily == Some(true));
    let seconds = read(failures).retry_after(Moment { at: at?, reset_at }, rule);
    Some(i32::try_from(seconds).unwrap_or(i32::MAX))
}

fn read(failures: Option<&[u8]>) -> Failures {
    failures.map(Failures::read).unwrap_or_default()
}

/// Only the lower 16 bits count.
fn to_tag(tag: i32) -> u16 {
    tag as u16
}

fn window(minutes: i32) -> i64 {
    i64::from(minutes.max(0)) * MINUTE
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
