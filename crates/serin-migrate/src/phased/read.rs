//! From a document to a [`PhasedSet`].

use super::statements::{self, Kind};
use super::{Batch, Phase, PhasedMigration, PhasedSet};
use crate::read::fields::{Fields, Found, ident_of};
use crate::{Flaw, Flaws, Ident};
use serde_json::Value;
use std::collections::BTreeSet;

/// Parts in one set.
const MAX_PARTS: usize = 200;

/// Longest time that can be said: 30 days, in ms.
const MAX_MS: u64 = 30 * 86_400_000;

/// Units of a duration, with their milliseconds.
const UNITS: [(&[&str], u64); 5] = [
    (&["ms", "millisecond", "milliseconds"], 1),
    (&["s", "sec", "secs", "second", "seconds"], 1_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];

/// Reads a set of the kind `PhasedSql`; it is called `name` when it does not say `set`.
///
/// # Errors
/// Everything that is wrong with its form.
pub fn phased(name: &str, document: &Value) -> Result<PhasedSet, Flaws> {
    let found = Found::default();
    let read = whole(name, document, &found);
    match (read, found.take()) {
        (Some(set), flaws) if flaws.is_empty() => Ok(set),
        (_, flaws) => Err(Flaws(flaws)),
    }
}

fn whole(name: &str, document: &Value, found: &Found) -> Option<PhasedSet> {
    let fields = Fields::of(document, "", found)?;
    let _ = fields.raw("kind");
    let set = if fields.raw("set").is_some() {
        fields.required_ident("set")
    } else {
        Ident::new(name).inspect_err(|why| fields.flaw("set", why.to_string())).ok()
    };
    let list = fields.required_list("migrations").unwrap_or_default();
    if list.len() > MAX_PARTS {
        let message = format!("more than {MAX_PARTS} migrations in one set");
        found.add(Flaw::new("migrations", message).hint("split it into several"));
        return None;
    }
    let parts: Vec<_> = list
        .iter()
        .enumerate()
        .map(|(at, value)| part(value, &format!("migrations[{at}]"), found))
        .collect();
    let settings = fields.object("serin").map(crate::read::settings).unwrap_or_default();
    fields.finish();
    let parts: Vec<PhasedMigration> = parts.into_iter().collect::<Option<_>>()?;
    in_order(&parts, found);
    Some(PhasedSet { set: set?, migrations: parts, settings })
}

fn part(value: &Value, path: &str, found: &Found) -> Option<PhasedMigration> {
    let fields = Fields::of(value, path, found)?;
    let words =
        [("expand", Phase::Expand), ("migrate", Phase::Migrate), ("contract", Phase::Contract)];
    let (version, name) = (fields.sql("version"), fields.required_text("name"));
    let version = fields.missing("version", version).filter(|text| !text.trim().is_empty());
    let phase = fields.missing("phase", fields.word("phase", &words));
    let text = |key| fields.text(key).filter(|text: &String| !text.trim().is_empty());
    let read = PhasedMigration {
        version: version.clone().unwrap_or_default(),
        name: name.clone().unwrap_or_default(),
        phase: phase.unwrap_or(Phase::Expand),
        up_sql: text("up_sql"),
        down_sql: text("down_sql"),
        pre_check_sql: text("pre_check_sql"),
        post_check_sql: text("post_check_sql"),
        requires_lock: fields.flag("requires_lock").unwrap_or(false),
        estimated_duration_ms: time(&fields),
        affects_writes: fields.flag("affects_writes").unwrap_or(false),
        batch: fields.object("batch").and_then(batch),
    };
    let has_batch = fields.raw("batch").is_some_and(|value| !value.is_null());
    let (version, name, phase) = (version?, name?, phase?);
    judge(&fields, &read, has_batch);
    fields.finish();
    Some(PhasedMigration { version, name, phase, ..read })
}

/// What does not go together.
fn judge(fields: &Fields<'_>, part: &PhasedMigration, has_batch: bool) {
    let hinted = |key: &str, message: &str, hint: &str| {
        fields.found().add(Flaw::new(fields.path(key), message).hint(hint));
    };
    match (&part.up_sql, has_batch) {
        (None, false) => hinted("up_sql", "is missing", "say `up_sql`, or `batch` in `migrate`"),
        (Some(_), true) => hinted("batch", "does not go with `up_sql`", "split it into two parts"),
        (None, true) if part.phase != Phase::Migrate => {
            hinted("batch", "belongs to the phase `migrate`", "say `phase: migrate`");
        }
        _ => {}
    }
    if part.phase == Phase::Expand && part.down_sql.is_none() {
        hinted("down_sql", "is missing", "say what takes it back, such as DROP COLUMN IF EXISTS");
    }
    for (key, sql) in [("up_sql", &part.up_sql), ("down_sql", &part.down_sql)] {
        if let Some((message, hint)) = sql.as_deref().and_then(cannot_run) {
            hinted(key, &message, hint);
        }
    }
}

/// Why SQL cannot be run by us, and what to do.
fn cannot_run(sql: &str) -> Option<(String, &'static str)> {
    let statements = statements::split(sql);
    let kinds: Vec<Kind> = statements.iter().map(|sql| statements::kind(sql)).collect();
    if statements.is_empty() {
        return Some(("holds no statement".into(), "write SQL"));
    }
    let first =
        |wanted: Kind| kinds.iter().position(|kind| *kind == wanted).map(|at| statements[at]);
    if let Some(sql) = first(Kind::EndsTransaction) {
        let message = format!("`{}` begins or ends a transaction", statements::head(sql));
        return Some((message, "remove it: Serin runs each part in a transaction of its own"));
    }
    if let Some(sql) = first(Kind::OutsideOnly) {
        let message = format!("`{}` cannot run in a transaction", statements::head(sql));
        return Some((message, "run it by hand, or use CREATE or DROP INDEX CONCURRENTLY"));
    }
    let alone = kinds.iter().any(|kind| matches!(kind, Kind::CreateIndex(_) | Kind::DropIndex(_)));
    if alone && kinds.len() > 1 {
        let message = "CONCURRENTLY does not run in a transaction with other statements";
        return Some((message.into(), "give it a part of its own"));
    }
    None
}

fn batch(fields: Fields<'_>) -> Option<Batch> {
    let (table, set) = (fields.required_ident("table"), fields.required_text("set"));
    let written = fields.missing("key", fields.raw("key"));
    let key = match written {
        Some(Value::Array(_)) => fields.idents("key"),
        Some(value) => ident_of(value, fields.path("key"), fields.found()).map(|key| vec![key]),
        None => None,
    };
    let filter = fields.text("where").filter(|text| !text.trim().is_empty());
    fields.finish();
    let key = key.filter(|key| !key.is_empty())?;
    Some(Batch { table: table?, key, set: set?, filter })
}

fn time(fields: &Fields<'_>) -> Option<u64> {
    let text = fields.sql("estimated_duration")?;
    let time = duration(&text);
    if time.is_none() {
        let message = format!("`{text}` is no time");
        let flaw = Flaw::new(fields.path("estimated_duration"), message);
        fields.found().add(flaw.hint("say 500ms, 30 seconds, 5 minutes or 2h"));
    }
    time
}

/// `5 minutes`, `30s`, `1.5 h`, in ms.
fn duration(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = UNITS.iter().find(|(words, _)| words.contains(&unit.as_str()))?;
    let ms = number.parse::<f64>().ok()? * *factor as f64;
    (ms >= 1.0 && ms <= MAX_MS as f64).then_some(ms as u64)
}

/// Versions once each, phases in their order.
fn in_order(parts: &[PhasedMigration], found: &Found) {
    let mut known = BTreeSet::new();
    for (at, part) in parts.iter().enumerate() {
        if !known.insert(&part.version) {
            let message = format!("`{}` is the version of another part, too", part.version);
            found.add(Flaw::new(format!("migrations[{at}].version"), message));
        }
    }
    for (at, pair) in parts.windows(2).enumerate().filter(|(_, pair)| pair[0].phase > pair[1].phase)
    {
        let (before, this) = (pair[0].phase.word(), pair[1].phase.word());
        let message = format!("`{this}` stands after `{before}`");
        let hint = "order the parts: expand, migrate, contract";
        found.add(Flaw::new(format!("migrations[{}].phase", at + 1), message).hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn times_are_read() {
        let cases = [
            ("5 minutes", Some(300_000)),
            ("30s", Some(30_000)),
            ("1.5 hours", Some(5_400_000)),
            ("500ms", Some(500)),
            ("5", None),
            ("soon", None),
            ("0s", None),
            ("99 days", None),
        ];
        for (text, ms) in cases {
            assert_eq!(duration(text), ms, "{text}");
        }
    }
}
