//! `audit.wait_sealed()`: waits until what a transaction wrote is under a seal.

use super::listener;
use crate::pg::call::text_function;
use crate::pg::{acting, errors, session, unsealed};
use pgrx::datum::Interval;
use pgrx::prelude::*;
use std::ffi::CStr;
use std::time::{Duration, Instant};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Numbers below it are the server's own.
const FIRST: i64 = 3;

const HINT: &str = "SELECT audit.wait_sealed(timeout => '5 seconds');";

/// Whether all rows that `transaction_id` wrote to streams are under a seal before the time is over; without
/// one, the transaction that this session committed last. What the present transaction writes cannot be
/// sealed before its end, so asked for it the answer is false at once. A transaction that was rolled back, or
/// wrote nothing, has nothing to wait for.
#[pg_extern(sql = false)]
fn wait_sealed(transaction_id: Option<i64>, timeout: Option<Interval>) -> bool {
    let time = time(timeout);
    let own = session::transaction_if_any();
    let wanted = match transaction_id {
        None if own.is_some() => return false,
        None => match listener::last_committed() {
            None => return true,
            Some(last) => last,
        },
        Some(number) => existing(number),
    };
    if own == Some(wanted) {
        return false;
    }
    let began = Instant::now();
    let mut has_rows = false;
    loop {
        if ask(c"_is_sealed", wanted) == b"yes" {
            return true;
        }
        if !has_rows {
            match ask(c"_has_rows", wanted).as_slice() {
                b"no" => return true,
                found => has_rows = found == b"yes",
            }
        }
        let Some(left) = time.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
            return false;
        };
        unsealed::hurry();
        session::pause(LOOK.min(left));
    }
}

/// The time to wait; so long that nobody lives to see its end is as good as for ever.
fn time(timeout: Option<Interval>) -> Duration {
    let Some(timeout) = timeout else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "timeout of audit.wait_sealed() must not be null",
            Some(HINT),
        )
    };
    let micros = timeout.as_micros();
    if micros < 0 {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "timeout of audit.wait_sealed() must not be negative",
            Some(HINT),
        );
    }
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// The number of a transaction that has begun some time.
fn existing(number: i64) -> u64 {
    match u64::try_from(number) {
        Ok(known) if number >= FIRST && known < session::next_transaction() => known,
        _ => errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("there was no transaction {number} on this server"),
            Some("SELECT pg_current_xact_id(); inside of the transaction tells its number."),
        ),
    }
}

/// What a function of ours says of a transaction, as the database is now: the snapshot of the present
/// transaction may be older.
fn ask(function: &CStr, transaction: u64) -> Vec<u8> {
    let number = transaction.to_string();
    acting::with_latest_snapshot(|| text_function(function, [number.as_bytes()]))
}
