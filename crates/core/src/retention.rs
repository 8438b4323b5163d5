//! How long a row stays: arithmetic of retentions, and when a row may go.
//!
//! Times are microseconds since 2000-01-01 00:00 UTC, as the server stores them. A retention is subtracted
//! from the present moment in the UTC calendar, months first, as the server subtracts an interval.

mod policy;

pub use policy::{Policy, PolicyError};
use std::fmt;

const MICROS_PER_HOUR: i64 = 3_600_000_000;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// From 0000-03-01, where the arithmetic below begins its years, to 2000-01-01.
const DAYS_TO_2000: i64 = 730_425;
const DAYS_PER_ERA: i64 = 146_097;

/// A length of time as PostgreSQL keeps it: months and days have no fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Calendar months; a year is twelve.
    pub months: i32,
    /// Calendar days.
    pub days: i32,
    /// Microseconds beyond them.
    pub micros: i64,
}

impl Period {
    /// The moment that lies this long before `now`; where a month is too short for the day, its last day.
    /// Beyond what 64 bits hold, the earliest moment.
    #[must_use]
    pub fn before(self, now: i64) -> i64 {
        let (day, time) = (now.div_euclid(MICROS_PER_DAY), now.rem_euclid(MICROS_PER_DAY));
        let day = minus_months(day, i64::from(self.months)) - i64::from(self.days);
        day.checked_mul(MICROS_PER_DAY)
            .and_then(|start| start.checked_add(time))
            .and_then(|moment| moment.checked_sub(self.micros))
            .unwrap_or(i64::MIN)
    }

    /// Whether a retention may have this length: at least one day, and no part of it negative.
    #[must_use]
    pub fn is_retention(self) -> bool {
        self.months >= 0
            && self.days >= 0
            && self.micros >= 0
            && self.shortest() >= i128::from(MICROS_PER_DAY)
    }

    /// Whether this is at least as long as `other` whatever the calendar: seven years are not surely longer
    /// than 2556 days.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        (self.months >= other.months && self.days >= other.days && self.micros >= other.micros)
            || self.shortest() >= other.longest()
    }

    fn shortest(self) -> i128 {
        let (years, months) = (self.months / 12, self.months % 12);
        self.with_days(i64::from(years) * 365 + i64::from(months) * 28)
    }

    fn longest(self) -> i128 {
        let (years, months) = (self.months / 12, self.months % 12);
        self.with_days(i64::from(years) * 366 + i64::from(months) * 31)
    }

    fn with_days(self, days: i64) -> i128 {
        i128::from(days + i64::from(self.days)) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

impl fmt::Display for Period {
    /// Writes ISO 8601, as the server does under `intervalstyle = iso_8601`: `P7Y`, `P1M2DT3H`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |f: &mut fmt::Formatter<'_>, number: i64, unit: char| match number {
            0 => Ok(()),
            number => write!(f, "{number}{unit}"),
        };
        f.write_str("P")?;
        part(f, i64::from(self.months / 12), 'Y')?;
        part(f, i64::from(self.months % 12), 'M')?;
        part(f, i64::from(self.days), 'D')?;
        if self.micros != 0 || (self.months, self.days) == (0, 0) {
            let (seconds, micros) = (self.micros / 1_000_000, self.micros % 1_000_000);
            write!(f, "T")?;
            part(f, seconds / 3_600, 'H')?;
            part(f, seconds / 60 % 60, 'M')?;
            if micros != 0 {
                let sign = if self.micros < 0 && seconds % 60 == 0 { "-" } else { "" };
                write!(f, "{sign}{}.{:06}S", seconds % 60, micros.abs())?;
            } else if seconds % 60 != 0 || self.micros == 0 {
                write!(f, "{}S", seconds % 60)?;
            }
        }
        Ok(())
    }
}

/// What a column that holds a time can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// A moment.
    Zoned,
    /// A local time whose zone nobody wrote down: any from UTC-12 to UTC+14.
    Unzoned,
    /// A day, likewise.
    Date,
}

impl Precision {
    /// The latest moment that a stored time can mean. Its age is judged by this one, so that it is never
    /// taken for older than it is.
    #[must_use]
    pub const fn latest(self, stored: i64) -> i64 {
        stored.saturating_add(match self {
            Self::Zoned => 0,
            Self::Unzoned => 12 * MICROS_PER_HOUR,
            Self::Date => 36 * MICROS_PER_HOUR,
        })
    }

    /// The earliest moment that a stored time can mean.
    #[must_use]
    pub const fn earliest(self, stored: i64) -> i64 {
        stored.saturating_sub(match self {
            Self::Zoned => 0,
            Self::Unzoned | Self::Date => 14 * MICROS_PER_HOUR,
        })
    }
}

/// The day that lies `months` before `day`, both counted from 2000-01-01.
fn minus_months(day: i64, months: i64) -> i64 {
    let (year, month, of_month) = civil(day);
    let total = year * 12 + (month - 1) - months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    day_of(year, month, of_month.min(days_in_month(year, month)))
}

/// Year, month and day of a day counted from 2000-01-01. Years begin in March here, so that the leap day is the
/// last of its year.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + DAYS_TO_2000;
    let (era, of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_month)
}

fn day_of(year: i64, month: i64, of_month: i64) -> i64 {
    let from_march = year - i64::from(month <= 2);
    let (era, year_of_era) = (from_march.div_euclid(400), from_march.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + of_month - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * DAYS_PER_ERA + of_era - DAYS_TO_2000
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    day_of(next_year, next, 1) - day_of(year, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i64, month: i64, day: i64) -> i64 {
        day_of(year, month, day) * MICROS_PER_DAY
    }

    fn months(months: i32) -> Period {
        Period { months, days: 0, micros: 0 }
    }

    fn days(days: i32) -> Period {
        Period { months: 0, days, micros: 0 }
    }

    #[test]
    fn days_count_from_2000() {
        assert_eq!(day_of(2000, 1, 1), 0);
        assert_eq!(day_of(2026, 11, 20), 9820);
        assert_eq!(civil(9820), (2026, 11, 20));
        assert_eq!(civil(day_of(1600, 2, 29)), (1600, 2, 29));
    }

    #[test]
    fn every_day_of_nine_centuries_comes_back() {
        for day in day_of(1600, 1, 1)..day_of(2500, 1, 1) {
            let (year, month, of_month) = civil(day);
            assert_eq!(day_of(year, month, of_month), day);
        }
    }

    #[test]
    fn months_are_subtracted_before_days_and_end_with_the_month() {
        assert_eq!(months(1).before(at(2026, 3, 31)), at(2026, 2, 28));
        assert_eq!(months(1).before(at(2024, 3, 31)), at(2024, 2, 29));
        assert_eq!(months(84).before(at(2024, 2, 29)), at(2017, 2, 28));
        assert_eq!(Period { months: 1, days: 1, micros: 5 }.before(at(2026, 3, 1)), at(2026, 1, 31) - 5);
        assert_eq!(months(13).before(at(2000, 1, 15)), at(1998, 12, 15));
    }

    #[test]
    fn a_period_beyond_all_times_reaches_the_earliest() {
        assert_eq!(days(i32::MAX).before(i64::MIN + 1), i64::MIN);
    }

    #[test]
    fn a_retention_lasts_a_day_at_least() {
        assert!(days(1).is_retention() && months(84).is_retention());
        assert!(Period { months: 0, days: 0, micros: MICROS_PER_DAY }.is_retention());
        for short in [
            Period { months: 0, days: 0, micros: 0 },
            Period { months: 0, days: 0, micros: MICROS_PER_DAY - 1 },
            days(-1),
            Period { months: 1, days: -1, micros: 0 },
            Period { months: 1, days: 0, micros: -1 },
        ] {
            assert!(!short.is_retention(), "{short:?}");
        }
    }

    #[test]
    fn longer_means_longer_in_every_calendar() {
        assert!(months(84).covers(months(84)) && months(85).covers(months(84)));
        assert!(!months(83).covers(months(84)));
        assert!(!days(2556).covers(months(84)) && !months(84).covers(days(2556)));
        assert!(days(7 * 366).covers(months(84)) && months(84).covers(days(7 * 365)));
        assert!(!Period { months: 85, days: 0, micros: 0 }.covers(Period {
            months: 84,
            days: 40,
            micros: 0
        }));
    }

    #[test]
    fn what_covers_has_the_earlier_cut_off() {
        for now in (at(2020, 1, 1)..at(2029, 1, 1)).step_by(MICROS_PER_DAY as usize * 3) {
            for (long, short) in [
                (months(2), days(56)),
                (days(62), months(2)),
                (days(2562), months(84)),
                (months(12), days(365)),
            ] {
                assert!(long.covers(short), "{long:?} {short:?}");
                assert!(long.before(now) <= short.before(now), "{long:?} {short:?} {now}");
            }
        }
    }

    #[test]
    fn a_period_is_written_as_iso_8601() {
        for (months, days, micros, text) in [
            (84, 0, 0, "P7Y"),
            (1, 2, 3 * MICROS_PER_HOUR, "P1M2DT3H"),
            (0, 0, 0, "PT0S"),
            (0, 30, 1_500_000, "P30DT1.500000S"),
            (0, 0, 90_000_000, "PT1M30S"),
            (0, 0, -500_000, "PT-0.500000S"),
        ] {
            assert_eq!(Period { months, days, micros }.to_string(), text);
        }
    }

    #[test]
    fn a_time_without_a_zone_is_never_taken_for_older_than_it_is() {
        assert_eq!(Precision::Zoned.latest(7), 7);
        assert_eq!(Precision::Unzoned.latest(0), 12 * MICROS_PER_HOUR);
        assert_eq!(Precision::Date.latest(0), 36 * MICROS_PER_HOUR);
        assert_eq!(Precision::Date.earliest(0), -14 * MICROS_PER_HOUR);
        assert_eq!(Precision::Date.latest(i64::MAX), i64::MAX);
    }
}
