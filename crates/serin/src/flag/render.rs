//! Flags as lines.

use crate::printer::{Line, Tone};
use crate::render::Frame;
use crate::render::table::Table;
use crate::render::words::moment;
use serin_flags::Timestamp;
use serin_server::api::view::{FlagHistory, FlagList, FlagPast, FlagSets, FlagView, Stamp};

/// Local date and time of a second.
pub fn when(at: Timestamp) -> String {
    moment(serin_core::Timestamp(at.0.saturating_mul(1000)))
}

fn tone(state: &str) -> Tone {
    match state {
        "on" => Tone::Good,
        "killed" => Tone::Bad,
        "releasing" => Tone::Accent,
        "archived" => Tone::Dim,
        _ => Tone::Warn,
    }
}

/// What keeps clients from being served.
pub fn trouble(trouble: Option<&String>) -> Option<Line> {
    Some(Line::toned(Tone::Warn, "trouble").text(format!(": {}", trouble?)))
}

/// All flags, one a row.
pub fn list(list: &FlagList, frame: &Frame) -> Vec<Line> {
    if list.flags.is_empty() {
        let text = format!(
            "there is no flag in {} yet: make one with `serin flag set KEY --owner TEAM --expires 40d`",
            list.set
        );
        return vec![Line::toned(Tone::Dim, text)];
    }
    let mut table = Table::new(&["FLAG", "STATE", "KIND", "OWNER", "WHO GETS WHAT"], &[]);
    for flag in &list.flags {
        table.row(row(flag));
    }
    let told = trouble(list.trouble.as_ref());
    table.lines(frame, "").into_iter().chain(told).collect()
}

fn row(flag: &FlagView) -> Vec<Line> {
    let notes = flag.notes.iter().map(|note| format!("; {note}"));
    vec![
        Line::toned(Tone::Bold, &flag.key),
        Line::toned(tone(&flag.state), &flag.state),
        Line::plain(kind(flag)),
        Line::plain(&flag.definition.owner),
        Line::plain(flag.serving.clone() + &notes.collect::<String>()),
    ]
}

fn kind(flag: &FlagView) -> String {
    let kind = serde_json::to_value(flag.definition.kind).ok();
    kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_owned()
}

/// One flag.
pub fn detail(flag: &FlagView, frame: &Frame) -> Vec<Line> {
    let head = Line::toned(Tone::Bold, &flag.key).text(format!(" ({}) ", flag.set));
    let mut lines = vec![head.add(tone(&flag.state), &flag.state)];
    let mut fact = |name: &str, text: String| {
        if !text.is_empty() {
            let name = Line::toned(Tone::Dim, name).pad(13);
            lines.push(Line::plain("  ").then(name).text(text));
        }
    };
    let definition = &flag.definition;
    let variants = definition.variants.0.iter().map(|one| format!("{} = {}", one.name, one.value));
    fact("who", flag.serving.clone());
    fact("what", definition.description.clone());
    fact("kind", kind(flag));
    fact("owner", definition.owner.clone());
    fact("expires", definition.expires_at.map(when).unwrap_or_default());
    fact("variants", variants.collect::<Vec<_>>().join(", "));
    fact("default", definition.default_variant.clone().unwrap_or("what the code says".into()));
    fact("off", definition.off_variant.clone());
    let needs = definition.prerequisites.iter();
    fact("needs", needs.map(|one| one.flag.to_string()).collect::<Vec<_>>().join(", "));
    let code = definition.requires.as_ref();
    fact(
        "needs code",
        code.map(|one| format!("{}@{}", one.service, one.version)).unwrap_or_default(),
    );
    let demand = definition.approval.as_ref().map(|one| format!("{} for each change", one.count));
    fact("approvals", demand.unwrap_or_default());
    fact("tags", definition.tags.join(", "));
    fact("changed", stamp(&flag.changed));
    lines.extend(trouble(flag.trouble.as_ref()));
    for note in &flag.notes {
        lines.push(Line::plain("  ").add(Tone::Warn, "note").text(format!(": {note}")));
    }
    lines.into_iter().flat_map(|line| line.hang(frame.columns(), 15)).collect()
}

fn stamp(stamp: &Stamp) -> String {
    let why = stamp.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} by {}, {} (change {}){why}", when(stamp.at), stamp.by, stamp.verb, stamp.n)
}

/// Changes, newest first.
pub fn history(history: &FlagHistory, one: bool, frame: &Frame) -> Vec<Line> {
    let heads: &[&str] = if one {
        &["N", "WHEN", "WHAT", "BY", "AND THEN"]
    } else {
        &["N", "WHEN", "FLAG", "WHAT", "BY", "AND THEN"]
    };
    let mut table = Table::new(heads, &[0]);
    for past in &history.changes {
        table.row(past_row(past, one));
    }
    let mut lines = table.lines(frame, "");
    if let Some(next) = history.next {
        lines.push(Line::toned(Tone::Dim, format!("older ones: add `--before {next}`")));
    }
    lines
}

fn past_row(past: &FlagPast, one: bool) -> Vec<Line> {
    let Stamp { n, at, by, reason, verb, approved, .. } = &past.stamp;
    let then = past.serving.as_deref().unwrap_or(if past.key.is_empty() { "" } else { "gone" });
    let agreed = match approved.as_slice() {
        [] => String::new(),
        names => format!("; approved by {}", names.join(", ")),
    };
    let why = reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default() + &agreed;
    let flag = (!one).then(|| Line::toned(Tone::Bold, &past.key));
    [Line::plain(n.to_string()), Line::plain(when(*at))]
        .into_iter()
        .chain(flag)
        .chain([Line::plain(verb), Line::plain(by), Line::plain(format!("{then}{why}"))])
        .collect()
}

/// All sets.
pub fn sets(sets: &FlagSets, frame: &Frame) -> Vec<Line> {
    let mut table = Table::new(&["SET", "FLAGS", "CHANGED"], &[1]);
    for set in &sets.sets {
        table.row(vec![
            Line::toned(Tone::Bold, &set.name),
            Line::plain(set.flags.to_string()),
            Line::plain(set.changed.as_ref().map(stamp).unwrap_or_default()),
        ]);
    }
    table.lines(frame, "")
}
