//! Dates and times in ISO form, which PostgreSQL reads alike under every `DateStyle`, and writes under ISO.

use crate::datum::integer::parse_integer;

/// `date`: days since 2000-01-01.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Date(pub i32);

/// `timestamp` and `timestamptz`: microseconds since 2000-01-01 00:00 (UTC).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub i64);

/// `time`: microseconds since midnight.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Time(pub i64);

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;

/// 4714-11-24 BC, Julian day zero, is the first day of PostgreSQL.
const FIRST_DAY: i64 = -2_451_545;
/// 5874898-01-01 is the first day that a `date` cannot hold any more.
const END_DATE: i64 = 2_145_031_949;
/// `END_TIMESTAMP`: 294277-01-01.
const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;

impl Date {
    /// Reads `2024-02-29`, `0044-03-15 BC`, `infinity` and `-infinity`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "infinity" => return Some(Self(i32::MAX)),
            "-infinity" => return Some(Self(i32::MIN)),
            _ => {}
        }
        let (text, era) = split_era(text);
        let days = days(text, era)?;
        (FIRST_DAY..END_DATE).contains(&days).then_some(Self(days as i32))
    }
}

impl Time {
    /// Reads `12:34` and `12:34:56.789`, not the `24:00:00` and `:60` that PostgreSQL also takes.
    pub fn parse(text: &str) -> Option<Self> {
        let (clock, fraction) = match text.split_once('.') {
            Some((clock, fraction)) => (clock, microseconds(fraction)?),
            None => (text, 0),
        };
        let mut parts = clock.split(':').map(|it| number(it, 2..=2));
        let (hour, minute) = (parts.next()??, parts.next()??);
        let second = match parts.next() {
            Some(second) => second?,
            // A fraction after minutes means minutes and seconds.
            None if text.contains('.') => return None,
            None => 0,
        };
        let valid = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
        let seconds = (hour * 60 + minute) * 60 + second;
        valid.then_some(Self(seconds * MICROSECONDS_PER_SECOND + fraction))
    }
}

impl Timestamp {
    /// Reads `2024-02-29 12:34:56.789`, also with `T`, without time, with ` BC`, and the infinities.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_infinity(text).or_else(|| {
            let (text, era) = split_era(text);
            match text.split_once([' ', 'T']) {
                Some((date, time)) => Self::new(days(date, era)?, Time::parse(time)?, 0),
                None => Self::new(days(text, era)?, Time(0), 0),
            }
        })
    }

    /// Reads a timestamp with its offset from UTC (`+02`, `-05:30`, `Z`). Without one it would depend on `TimeZone`.
    pub fn parse_with_zone(text: &str) -> Option<Self> {
        Self::parse_infinity(text).or_else(|| {
            let (text, era) = split_era(text);
            let (date, time) = text.split_once([' ', 'T'])?;
            let (time, east) = split_zone(time)?;
            Self::new(days(date, era)?, Time::parse(time)?, east)
        })
    }

    fn parse_infinity(text: &str) -> Option<Self> {
        match text {
            "infinity" => Some(Self(i64::MAX)),
            "-infinity" => Some(Self(i64::MIN)),
            _ => None,
        }
    }

    fn new(days: i64, time: Time, seconds_east: i64) -> Option<Self> {
        let at = days.checked_mul(MICROSECONDS_PER_DAY)?.checked_add(time.0)?;
        let at = at.checked_sub(seconds_east * MICROSECONDS_PER_SECOND)?;
        // Without the offset it must be in range as well.
        let in_range = (FIRST_DAY * MICROSECONDS_PER_DAY..END_TIMESTAMP).contains(&at) && FIRST_DAY <= days;
        in_range.then_some(Self(at))
    }
}

#[derive(Clone, Copy)]
enum Era {
    Common,
    BeforeChrist,
}

fn split_era(text: &str) -> (&str, Era) {
    match text.strip_suffix(" BC") {
        Some(rest) => (rest, Era::BeforeChrist),
        None => (text, Era::Common),
    }
}

/// Days of `YYYY-MM-DD` since 2000-01-01. A year has four digits or more.
fn days(text: &str, era: Era) -> Option<i64> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4..=7)?;
    let (month, day) = (number(parts.next()?, 2..=2)?, number(parts.next()?, 2..=2)?);
    if parts.next().is_some() || year == 0 || !(1..=12).contains(&month) {
        return None;
    }
    let year = match era {
        Era::Common => year,
        // The year before 1 is 1 BC.
        Era::BeforeChrist => 1 - year,
    };
    if !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    // Counted in years from March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let since_year_zero = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1;
    Some(since_year_zero - 730_425)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Splits off the offset; it is in seconds east of Greenwich.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, 0));
    }
    let at = text.find(['+', '-'])?;
    let (time, zone) = text.split_at(at);
    let mut parts = zone[1..].split(':').map(|it| number(it, 2..=2));
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    if hours > 15 || minutes > 59 || seconds > 59 || parts.next().is_some() {
        return None;
    }
    let east = (hours * 60 + minutes) * 60 + seconds;
    Some((time, if zone.starts_with('-') { -east } else { east }))
}

/// One to six digits after the point.
fn microseconds(fraction: &str) -> Option<i64> {
    let value = number(fraction, 1..=6)?;
    Some(value * 10_i64.pow(6 - fraction.len() as u32))
}

fn number(digits: &str, length: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let valid = length.contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    valid.then(|| parse_integer(digits)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates() {
        for (text, days) in [
            ("2000-01-01", Some(0)),
            ("2000-02-29", Some(59)),
            ("1999-12-31", Some(-1)),
            ("1970-01-01", Some(-10957)),
            ("4714-11-24 BC", Some(-2_451_545)),
            ("4714-11-23 BC", None),
            ("5874897-12-31", Some(2_145_031_948)),
            ("5874898-01-01", None),
            ("infinity", Some(i32::MAX)),
            ("-infinity", Some(i32::MIN)),
            ("2001-02-29", None),
            ("1900-02-29", None),
            ("2000-13-01", None),
            ("0000-01-01", None),
            ("01-02-2000", None),
            ("2000-1-1", None),
            ("2000-01-01-01", None),
            (" 2000-01-01", None),
            ("today", None),
            ("", None),
        ] {
            assert_eq!(Date::parse(text).map(|it| it.0), days, "{text}");
        }
    }

    #[test]
    fn reads_timestamps() {
        let second = MICROSECONDS_PER_SECOND;
        for (text, at) in [
            ("2000-01-01", Some(0)),
            ("2000-01-01 00:00:01", Some(second)),
            ("2000-01-01T00:00:01.5", Some(second * 3 / 2)),
            ("2000-01-02 00:01", Some(MICROSECONDS_PER_DAY + 60 * second)),
            ("2000-01-01 00:00:00.0000001", None),
            ("2000-01-01 24:00:00", None),
            ("2000-01-01 00:00:60", None),
            ("2000-01-01 00:01.5", None),
            ("2000-01-01 ", None),
            ("2000-01-01 00:00:00+00", None),
            ("294277-01-01 00:00:00", None),
            ("294276-12-31 23:59:59.999999", Some(END_TIMESTAMP - 1)),
        ] {
            assert_eq!(Timestamp::parse(text).map(|it| it.0), at, "{text}");
        }
    }

    #[test]
    fn reads_zones() {
        let second = MICROSECONDS_PER_SECOND;
        for (text, at) in [
            ("2000-01-01 01:00:00+01", Some(0)),
            ("2000-01-01 00:00:00-00:00:01", Some(second)),
            ("2000-01-01T05:30:00+05:30", Some(0)),
            ("2000-01-01T00:00:00Z", Some(0)),
            ("2000-01-01 00:00:00", None),
            ("2000-01-01", None),
            ("2000-01-01 00:00:00 UTC", None),
            ("2000-01-01 00:00:00+1", None),
        ] {
            assert_eq!(Timestamp::parse_with_zone(text).map(|it| it.0), at, "{text}");
        }
    }
}
