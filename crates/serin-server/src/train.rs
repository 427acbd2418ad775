//! When trains leave, reckoned with a calendar: the engine knows none.

use jiff::Zoned;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serin_core::{Departure, ServiceSpec, Timestamp, Timetable, Train};

/// Days that are searched: two departures of one day a week lie within.
const DAYS: usize = 15;

/// The trains a deploy could take that is asked for `now`.
pub(crate) fn departure(spec: &ServiceSpec, now: Timestamp, waived: bool) -> Option<Departure> {
    let train = spec.train.as_ref()?;
    let (at, then) = match train {
        Train::Every(_) => train.departures(now)?,
        Train::At(table) => by_calendar(table, now)?,
    };
    Some(Departure { at, then, waived })
}

/// The time zone of a timetable, if it is known here.
pub(crate) fn zone(table: &Timetable) -> Option<TimeZone> {
    if table.zone == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(&table.zone).ok() }
}

fn by_calendar(table: &Timetable, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let zone = zone(table).unwrap_or(TimeZone::UTC);
    let here = Zoned::new(jiff::Timestamp::from_millisecond(now.0).ok()?, zone.clone());
    let mut found = Vec::new();
    for day in here.date().series(jiff::Span::new().days(1)).take(DAYS) {
        let weekday = day.weekday().to_monday_one_offset().unsigned_abs();
        if !table.days.is_empty() && !table.days.contains(&weekday) {
            continue;
        }
        // A time that is left out when clocks are set forward is as much later as they are.
        let at = |minute: &u16| {
            let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
            let at = day.to_datetime(time).to_zoned(zone.clone()).ok()?;
            Some(Timestamp(at.timestamp().as_millisecond()))
        };
        found.extend(table.minutes.iter().filter_map(at).filter(|at| *at > now));
    }
    found.sort();
    found.dedup();
    Some((*found.first()?, *found.get(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn table(minutes: &[u16], days: &[u8], zone: &str) -> Timetable {
        let (minutes, days) = (minutes.iter().copied().collect(), days.iter().copied().collect());
        Timetable { minutes, days, zone: zone.into() }
    }

    #[test]
    fn departures_follow_the_calendar() {
        // 30 November 2026 is a Monday.
        for (minutes, days, now, first, second) in [
            (&[840][..], &[][..], "2026-11-30T13:59:59Z", "2026-11-30T14:00Z", "2026-12-01T14:00Z"),
            (&[840], &[], "2026-11-30T14:00:00Z", "2026-12-01T14:00Z", "2026-12-02T14:00Z"),
            (&[540, 840], &[], "2026-11-30T10:00:00Z", "2026-11-30T14:00Z", "2026-12-01T09:00Z"),
            (&[840], &[1, 4], "2026-12-01T00:00:00Z", "2026-12-03T14:00Z", "2026-12-07T14:00Z"),
            (&[840], &[1], "2026-11-30T15:00:00Z", "2026-12-07T14:00Z", "2026-12-14T14:00Z"),
        ] {
            let seconds = |text: &str| at(&text.replace("0Z", "0:00Z"));
            let found = by_calendar(&table(minutes, days, "UTC"), at(now));
            assert_eq!(
                found,
                Some((seconds(first), seconds(second))),
                "{minutes:?} {days:?} {now}"
            );
        }
    }

    #[test]
    fn clocks_that_are_set_forward_move_a_train_and_lose_none() {
        let table = table(&[150], &[], "Europe/Vienna");
        if zone(&table).is_none() {
            eprintln!("skipped: this machine knows no time zones");
            return;
        }
        // In the night to 29 March 2026 there is no 02:30.
        let found = by_calendar(&table, at("2026-03-28T12:00:00Z"));
        assert_eq!(found, Some((at("2026-03-29T01:30:00Z"), at("2026-03-30T00:30:00Z"))));
    }
}
