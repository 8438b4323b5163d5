//! When something that is done again and again is to be done next.

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};

/// Microseconds between 1970 and 2000, from which PostgreSQL counts.
const EPOCH: i64 = 946_684_800_000_000;

/// The first time after `after` that a cron expression of five fields means, in UTC. Both times are in
/// microseconds since 2000.
///
/// Errors: what is wrong with the expression, in a few words.
pub fn next_run(schedule: &str, after: i64) -> Result<i64, &'static str> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(schedule).map_err(|_| "it is no cron expression of five fields")?;
    let unix = after.checked_add(EPOCH).and_then(DateTime::<Utc>::from_timestamp_micros);
    let after = unix.ok_or("the time is out of range")?;
    let next = cron.find_next_occurrence(&after, false).map_err(|_| "there is no such time")?;
    Ok(next.timestamp_micros() - EPOCH)
}
