//! `train`: deploys leave together, with a cadence.

use crate::{field::Field, yaml::shown};
use serin_core::{Millis, Timetable, Train};
use std::collections::BTreeSet;

const SPANS: std::ops::RangeInclusive<Millis> = Millis::secs(60)..=Millis::secs(30 * 86_400);

/// Times in one day, at most.
const TIMES: usize = 48;

const DAYS: [(&str, u8); 7] = [
    ("monday", 1),
    ("tuesday", 2),
    ("wednesday", 3),
    ("thursday", 4),
    ("friday", 5),
    ("saturday", 6),
    ("sunday", 7),
];

pub(crate) fn read(field: &Field<'_>) -> Option<Train> {
    let mut reader = field.map()?;
    let (every, at) = (reader.has("every"), reader.has("at"));
    let span = reader.maybe("every", |f| f.duration(SPANS));
    let minutes = reader.maybe("at", |f| times(&f));
    let days = reader.maybe("days", |f| days(&f));
    let zone = reader.or("timeZone", "UTC".into(), |f| zone(&f));
    let message = match (every, at, days.is_some()) {
        (true, true, _) | (false, false, _) => Some("`train` has one of `every` and `at`"),
        (true, false, true) => Some("`days` go with `at`, not with `every`"),
        _ => None,
    };
    if let Some(message) = message {
        let hint = "write `train: { every: 2h }`, or `train: { at: [\"14:00\"], days: [monday] }`";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    }
    reader.finish();
    match (message, span, minutes) {
        (None, Some(span), None) => Some(Train::Every(span)),
        (None, None, Some(minutes)) => {
            Some(Train::At(Timetable { minutes, days: days.unwrap_or_default(), zone }))
        }
        _ => None,
    }
}

fn times(field: &Field<'_>) -> Option<BTreeSet<u16>> {
    let items = field.list()?;
    if items.is_empty() || items.len() > TIMES {
        return field.outside(format!("a list of {}", items.len()), 1, TIMES);
    }
    let found: Vec<_> = items.iter().map(time).collect();
    found.into_iter().collect()
}

/// Minutes after midnight of `HH:MM`.
fn time(field: &Field<'_>) -> Option<u16> {
    let text = field.word()?;
    let part = |text: &str, below: u16| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number < below)
    };
    let read = text.split_once(':').and_then(|(h, m)| Some(part(h, 24)? * 60 + part(m, 60)?));
    if read.is_none() {
        let message = format!("`{}` is no time of day", shown(text));
        field.report(field.problem("bad-time", message).hint("write it like `\"14:00\"`"));
    }
    read
}

fn days(field: &Field<'_>) -> Option<BTreeSet<u8>> {
    let items = field.list()?;
    let found: Vec<_> = items.iter().map(|day| day.choice(&DAYS)).collect();
    found.into_iter().collect()
}

/// Whether there is such a zone only the machine that runs it knows.
fn zone(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    if text.len() <= 64 && text.chars().all(inside) {
        return Some(text.into());
    }
    let message = format!("`{}` is no name of a time zone", shown(text));
    field.report(field.problem("bad-name", message).hint("write it like `Europe/Vienna`"));
    None
}
