//! Values of arguments.

use std::time::Duration;

use audit_guard_core::ledger::value::Value;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// `500ms`, `5s`, `1m`, `2h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| "a number and a unit: 500ms, 5s, 1m, 2h".to_owned())?;
    let milliseconds = match &text[digits.len()..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" | "min" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err("a number and a unit: 500ms, 5s, 1m, 2h".to_owned()),
    };
    milliseconds
        .filter(|ms| (100..=86_400_000).contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(|| "between 100ms and 24h".to_owned())
}

/// A number of connections.
pub(crate) fn workers(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| (1..=64).contains(number)).ok_or_else(|| "between 1 and 64".to_owned())
}

/// A day, or a time with or without a zone; without one it is UTC.
pub(crate) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%F %T%.f%#z"))
    {
        return Ok(time.to_utc());
    }
    let day = NaiveDate::parse_from_str(text, "%F").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    let forms = ["%FT%H:%M", "%F %H:%M", "%FT%T%.f", "%F %T%.f"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    day.or(time)
        .map(|time| time.and_utc())
        .ok_or_else(|| "a time such as 2026-03-01 or 2026-03-01T12:00:00Z".to_owned())
}

/// An interval in ISO 8601, as PostgreSQL prints it with intervalstyle iso_8601: `P7Y`, `P1Y2M3DT4H5M6.5S`.
pub(crate) fn iso_interval(text: &str) -> Option<Value> {
    let (mut months, mut days, mut us) = (0_i32, 0_i32, 0_i64);
    let mut rest = text.strip_prefix('P')?;
    let mut is_time = false;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('T') {
            is_time = true;
            rest = behind;
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '-' && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let unit = behind.chars().next()?;
        rest = behind.get(1..)?;
        if (is_time, unit) == (true, 'S') {
            // Microseconds: the fraction filled up to six digits.
            let (seconds, fraction) = number.split_once('.').unwrap_or((number, ""));
            let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
            let sign = if number.starts_with('-') { -1 } else { 1 };
            us = us
                .checked_add(seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?)?
                .checked_add(sign * fraction)?;
            continue;
        }
        let number: i32 = number.parse().ok()?;
        match (is_time, unit) {
            (false, 'Y') => months = months.checked_add(number.checked_mul(12)?)?,
            (false, 'M') => months = months.checked_add(number)?,
            (false, 'W') => days = days.checked_add(number.checked_mul(7)?)?,
            (false, 'D') => days = days.checked_add(number)?,
            (true, 'H') => us = us.checked_add(i64::from(number).checked_mul(3_600_000_000)?)?,
            (true, 'M') => us = us.checked_add(i64::from(number).checked_mul(60_000_000)?)?,
            _ => return None,
        }
    }
    Some(Value::Interval { months, days, us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "5", "s", "0s", "5 s", "99999999999999999999s", "18446744073709551615h", "25h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("2026-03-01", "2026-03-01T00:00:00+00:00"),
            ("2026-03-01 12:30", "2026-03-01T12:30:00+00:00"),
            ("2026-03-01T12:30:01.5Z", "2026-03-01T12:30:01.500+00:00"),
            ("2026-03-01T12:30:00+02:00", "2026-03-01T10:30:00+00:00"),
            ("2026-03-01 12:30:00+02", "2026-03-01T10:30:00+00:00"),
        ] {
            assert_eq!(time(text).map(|time| time.to_rfc3339()).as_deref(), Ok(expected), "{text}");
        }
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn intervals() {
        for (text, months, days, us) in [
            ("P7Y", 84, 0, 0),
            ("P1Y2M3DT4H5M6.5S", 14, 3, 14_706_500_000),
            ("PT0S", 0, 0, 0),
            ("P-1D", 0, -1, 0),
        ] {
            assert_eq!(iso_interval(text), Some(Value::Interval { months, days, us }), "{text}");
        }
        for wrong in ["", "7 years", "P7", "P1X", "PT1Y", "P99999999999Y"] {
            assert_eq!(iso_interval(wrong), None, "{wrong}");
        }
    }
}
