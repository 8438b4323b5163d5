//! Failed logins: under which key they are counted, how their times are kept, and when there were too many.
//!
//! Times are microseconds since 2000-01-01 00:00 UTC, as the server stores them. The clock may be set back:
//! what then lies in the future is kept, but nobody gets more tries by it.

mod failures;
mod keys;
mod network;
mod window;

pub use failures::{Entry, Failures, PLAIN_LIMIT, TAGGED_LIMIT};
pub use keys::{account_key, account_tag, device_key, normalised, pair_key, person_hash};
pub use network::login_network;
pub use window::{DAILY_LIMIT, Moment, Rule};

/// Microseconds of a minute, which is the shortest window.
pub const MINUTE: i64 = 60_000_000;
/// Microseconds of a day, which is the longest window.
pub const DAY: i64 = 24 * 60 * MINUTE;
