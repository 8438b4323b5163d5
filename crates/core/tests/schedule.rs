//! Cron expressions, in microseconds since 2000.

use audit_guard_core::schedule::next_run;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

#[test]
fn the_next_time_comes_after_now() {
    // 2000-01-01 00:00 was a Saturday.
    for (schedule, after, expected) in [
        ("*/5 * * * *", 0, 5 * MINUTE),
        ("*/5 * * * *", 5 * MINUTE - 1, 5 * MINUTE),
        ("*/5 * * * *", 5 * MINUTE, 10 * MINUTE),
        ("0 3 * * *", 0, 3 * HOUR),
        ("0 3 * * *", 3 * HOUR, DAY + 3 * HOUR),
        ("30 4 * * sun", 0, DAY + 4 * HOUR + 30 * MINUTE),
        ("0 0 1 * *", 0, 31 * DAY),
        ("0 0 29 2 *", 60 * DAY, (4 * 365 + 1 + 31 + 28) * DAY),
        // As everywhere: when both days are given, either counts.
        ("0 0 13 * 5", 0, 6 * DAY),
        ("15 10-12/2 * jan,dec mon-fri", 0, 2 * DAY + 10 * HOUR + 15 * MINUTE),
        ("* * * * *", -1, 0),
    ] {
        assert_eq!(next_run(schedule, after), Ok(expected), "{schedule} after {after}");
    }
}

#[test]
fn what_is_no_schedule() {
    for schedule in
        ["", " ", "* * * *", "* * * * * *", "61 * * * *", "a b c d e", "* * * * mon-", "5 seconds", "\0"]
    {
        assert_eq!(next_run(schedule, 0), Err("it is no cron expression of five fields"), "{schedule:?}");
    }
    assert_eq!(next_run("0 0 30 2 *", 0), Err("there is no such time"));
    assert!(next_run(&"1,".repeat(100_000), 0).is_err());
    for after in [i64::MAX, i64::MIN] {
        assert!(next_run("* * * * *", after).is_err());
    }
}
