//! How instances of the two revisions stand beside each other.

use super::words;
use serin_core::{Amount, Capacity, OnInstanceFailure, Scale, ServiceSpec};

pub(super) const KEYS: &str = "capacity, onInstanceFailure, listen";

/// Takes one `key=value`; false when the key is none of these.
pub(super) fn change(spec: &mut ServiceSpec, key: &str, value: &str) -> Result<bool, String> {
    match (key, value) {
        ("capacity", _) => spec.schedule.capacity = capacity(value)?,
        ("onInstanceFailure", _) => spec.schedule.on_instance_failure = failed(value)?,
        ("listen", "none") => spec.traffic.listen = None,
        ("listen", _) => return Err(format!("`{value}` is not allowed; allowed: none")),
        _ => return Ok(false),
    }
    Ok(true)
}

/// `beside`, or SURGE/UNAVAILABLE such as `1/0` or `25%/25%`.
fn capacity(word: &str) -> Result<Capacity, String> {
    if word == "beside" {
        return Ok(Capacity::Beside);
    }
    let wrong = || format!("`{word}` is not a capacity; allowed: beside, 1/0, 25%/25%");
    let (surge, unavailable) = word.split_once('/').ok_or_else(wrong)?;
    let (max_surge, max_unavailable) = (amount(surge)?, amount(unavailable)?);
    Ok(Capacity::Replace { max_surge, max_unavailable })
}

fn amount(word: &str) -> Result<Amount, String> {
    match word.strip_suffix('%') {
        Some(percent) => Ok(Amount::Percent(words::number(percent, 0, 100)? as u32)),
        None => Ok(Amount::Count(words::number(word, 0, 100)? as u32)),
    }
}

fn failed(word: &str) -> Result<OnInstanceFailure, String> {
    match word {
        "back" => Ok(OnInstanceFailure::Back),
        "stop" => Ok(OnInstanceFailure::Stop),
        "forward" => Ok(OnInstanceFailure::Forward),
        _ => Err(format!("`{word}` is not allowed; allowed: back, stop, forward")),
    }
}

/// The inside of `scale(2)`, `scale(50%)`, `scale(match)`.
pub(super) fn scale(word: &str) -> Result<Scale, String> {
    match (word, word.strip_suffix('%')) {
        ("match", _) => Ok(Scale::MatchWeight),
        (_, Some(percent)) => words::weight(percent).map(Scale::Share),
        _ => Ok(Scale::Instances(words::number(word, 0, 100)? as u32)),
    }
}
