//! The block `serin`.

use super::fields::Fields;
use crate::{BackfillSettings, Checks, ContractSettings, LossyDown, Settings};

/// Longest time that can be said: a year, in ms.
const MAX_MS: u64 = 365 * 86_400_000;

/// Units of a duration, with their milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of a size, with their bytes; as Postgres counts them, in steps of 1024.
const SIZES: [(&str, u64); 6] = [
    ("MB", 1 << 20),
    ("MiB", 1 << 20),
    ("GB", 1 << 30),
    ("GiB", 1 << 30),
    ("TB", 1 << 40),
    ("TiB", 1 << 40),
];

/// Reads all of it.
pub fn read(fields: Fields<'_>) -> Settings {
    let words = [("reject", LossyDown::Reject), ("quarantine", LossyDown::Quarantine)];
    let settings = Settings {
        checks: fields.object("checks").map(checks).unwrap_or_default(),
        backfill: fields.object("backfill").map(backfill).unwrap_or_default(),
        on_down_error: fields.word("on_down_error", &words).unwrap_or_default(),
        contract: fields.object("contract").map(contract).unwrap_or_default(),
    };
    fields.finish();
    settings
}

fn checks(fields: Fields<'_>) -> Checks {
    let texts = |key| fields.texts(key).unwrap_or_default();
    let checks = Checks { pre: texts("pre"), post: texts("post"), contract: texts("contract") };
    fields.finish();
    checks
}

fn backfill(fields: Fields<'_>) -> BackfillSettings {
    let usual = BackfillSettings::default();
    let settings = BackfillSettings {
        max_lag_ms: duration(&fields, "max_lag").unwrap_or(usual.max_lag_ms),
        max_p99_factor: fields.number("max_p99_factor", 1.0, 100.0).unwrap_or(usual.max_p99_factor),
        batch_ms: fields.number("batch_ms", 1.0, 1_000.0).map_or(usual.batch_ms, |ms| ms as u64),
        duty: fields.number("duty", 0.01, 1.0).unwrap_or(usual.duty),
        window: fields.text("window"),
        max_kept_wal: size(&fields, "max_kept_wal").unwrap_or(usual.max_kept_wal),
        min_free_disk: size(&fields, "min_free_disk"),
    };
    if settings.window.as_deref().is_some_and(|window| !is_window(window)) {
        fields.flaw("window", "is not of the form `22:00-06:00`");
    }
    fields.finish();
    settings
}

fn contract(fields: Fields<'_>) -> ContractSettings {
    let usual = ContractSettings::default();
    let time = |key, usual| duration(&fields, key).unwrap_or(usual);
    let settings = ContractSettings {
        after_ms: time("after", usual.after_ms),
        by_hand: !fields.flag("automatic").unwrap_or(!usual.by_hand),
        brown_out_ms: time("brown_out", usual.brown_out_ms),
        grace_ms: time("grace", usual.grace_ms),
    };
    fields.finish();
    settings
}

/// A number with a unit, in ms.
fn duration(fields: &Fields<'_>, key: &'static str) -> Option<u64> {
    let text = fields.text(key)?;
    let time = parse_duration(&text);
    if time.is_none() {
        fields.flaw(key, format!("`{text}` is no time; say 500ms, 30s, 5m, 24h or 7d"));
    }
    time
}

fn parse_duration(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = UNITS.iter().find(|(word, _)| *word == unit)?;
    let time = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    (time <= MAX_MS).then_some(time)
}

/// A number of bytes with a unit.
fn size(fields: &Fields<'_>, key: &'static str) -> Option<u64> {
    let text = fields.text(key)?;
    let bytes = parse_size(&text);
    if bytes.is_none() {
        fields.flaw(key, format!("`{text}` is no size; say 500MB, 8GB or 1TB"));
    }
    bytes
}

fn parse_size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = SIZES.iter().find(|(word, _)| word.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn is_window(text: &str) -> bool {
    let is_time = |text: &str| {
        let parts = text.split_once(':').map(|(h, m)| (h.parse::<u8>(), m.parse::<u8>()));
        matches!(parts, Some((Ok(0..=23), Ok(0..=59)))) && text.len() == 5
    };
    text.split_once('-').is_some_and(|(from, to)| is_time(from) && is_time(to) && from != to)
}
