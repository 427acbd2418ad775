//! Points in time, written as RFC 3339 and kept as seconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, str::FromStr};

/// A second, since 1970-01-01T00:00:00Z. JSON: RFC 3339 text; a whole number of seconds is read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

const DAY: i64 = 86_400;

impl Timestamp {
    /// The time `days` later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(i64::from(days) * DAY))
    }

    /// Whole days from `self` to `later`; 0 when it is earlier.
    pub fn days_until(self, later: Self) -> u64 {
        u64::try_from(later.0.saturating_sub(self.0) / DAY).unwrap_or(0)
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since 1970-01-01; same source.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
    }
}

/// The number in `text[at..at + len]`, digits only.
fn digits(text: &str, at: usize, len: usize) -> Option<i64> {
    let part = text.get(at..at + len)?;
    part.bytes().all(|c| c.is_ascii_digit()).then(|| part.parse().ok()).flatten()
}

fn days_in(year: i64, month: i64) -> i64 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next.0, next.1, 1) - days_from_civil(year, month, 1)
}

fn date(text: &str) -> Option<i64> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let dashes = text.get(4..5)? == "-" && text.get(7..8)? == "-";
    let real = (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
    (dashes && real).then(|| days_from_civil(year, month, day) * DAY)
}

fn time_of_day(text: &str) -> Option<i64> {
    let (hour, minute, second) = (digits(text, 0, 2)?, digits(text, 3, 2)?, digits(text, 6, 2)?);
    let colons = text.get(2..3)? == ":" && text.get(5..6)? == ":";
    (colons && hour < 24 && minute < 60 && second < 61)
        .then_some(hour * 3_600 + minute * 60 + second)
}

/// Seconds east of Greenwich in `Z`, `+02:00`.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hour, minute) = (digits(text, 1, 2)?, digits(text, 4, 2)?);
    let shaped = text.len() == 6 && text.get(3..4)? == ":" && hour < 24 && minute < 60;
    shaped.then_some(sign * (hour * 3_600 + minute * 60))
}

/// Seconds of an RFC 3339 date-time; a fraction of a second is dropped. A bare date is its start.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let day = date(text)?;
    if text.len() == 10 {
        return Some(day);
    }
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
    let seconds = time_of_day(text.get(11..)?)?;
    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if after.len() == fraction.len() {
            return None;
        }
        rest = after;
    }
    let east = offset(rest)?;
    separated.then_some(day + seconds - east)
}

impl FromStr for Timestamp {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let wrong = || format!("{shown:?} is not a time; write one like 2027-01-31T12:00:00Z");
        parse(text).map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(i64),
            Text(String),
        }
        match Written::deserialize(from)? {
            Written::Seconds(seconds) if seconds.unsigned_abs() < 253_402_300_800 => {
                Ok(Self(seconds))
            }
            Written::Seconds(seconds) => {
                Err(D::Error::custom(format!("{seconds} s is beyond year 9999")))
            }
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, parse};
    use proptest::prelude::*;

    #[test]
    fn known_times_are_read() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2027-01-31T00:00:00Z", Some(1_801_353_600)),
            ("2027-01-31", Some(1_801_353_600)),
            ("2024-02-29T23:59:59.999Z", Some(1_709_251_199)),
            ("2027-01-31T02:00:00+02:00", Some(1_801_353_600)),
            ("2027-01-30t22:30:00-01:30", Some(1_801_353_600)),
            ("1969-12-31T23:59:59Z", Some(-1)),
            ("2023-02-29T00:00:00Z", None),
            ("2027-13-01T00:00:00Z", None),
            ("2027-01-31T24:00:00Z", None),
            ("2027-01-31T00:00:00", None),
            ("2027-01-31T00:00:00.Z", None),
            ("2027-01-31T00:00:00+2:00", None),
            ("2027/01/31", None),
            ("äöü-01-31T00:00:00Z", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), seconds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in -62_000_000_000i64..250_000_000_000) {
            let text = Timestamp(seconds).to_string();
            prop_assert_eq!(parse(&text), Some(seconds), "{}", text);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,40}|[0-9T:Z+.-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
