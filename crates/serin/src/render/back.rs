//! A way back: where it leads, and what proved that it worked.

use super::words::{clock, count, moment, percent};
use super::{class, version};
use crate::printer::{Line, Tone};
use serin_core::{Millis, Recovery, RevisionStanding, RolloutRecord, WayBack};
use serin_server::api::view::{CheckedInstance, Checkup, KnownRevision, Runbook};

/// What runs, what was good last, and where it goes: before anything is done.
pub fn heading(facts: &Runbook, to: Option<&str>) -> Vec<Line> {
    let mut lines = Vec::new();
    let since = |known: &KnownRevision| {
        known.promoted_at.map_or_else(String::new, |at| format!(", since {}", moment(at)))
    };
    let known = |id| facts.revisions.iter().find(move |known| Some(&known.revision) == id);
    match known(facts.running.as_ref()) {
        Some(known) => {
            lines.push(named("runs", &format!("{}{}", version(&known.revision), since(known))));
        }
        None => lines.push(named("runs", "nothing yet")),
    }
    lines.extend(facts.candidate.iter().map(|id| named("on trial", version(id))));
    match (known(facts.last_good.as_ref()), to) {
        (_, Some(to)) => lines.push(named("going to", to)),
        // A rollout on trial is stopped instead: stable never left.
        _ if facts.candidate.is_some() => {
            lines.push(named("going to", facts.running.as_ref().map_or("nothing", version)));
        }
        (Some(good), None) => {
            let text = format!("{}{}", version(&good.revision), since(good));
            lines.push(named("last good", &text));
        }
        (None, None) => lines.push(named("last good", "none is known")),
    }
    let good = |known: &&KnownRevision| known.standing == RevisionStanding::Good;
    let others: Vec<_> =
        facts.revisions.iter().filter(good).map(|known| version(&known.revision)).collect();
    if others.len() > 1 {
        lines.push(named("all good", &others.join(", ")));
    }
    lines
}

/// What was measured of a way back, one line for each proof.
pub fn proof(back: &WayBack) -> Vec<Line> {
    let after = |at: serin_core::Timestamp| at.since(back.began_at);
    let mut lines = vec![fact("back", class(back.class))];
    lines.push(fact("route", &done("confirmed", back.routed_at.map(after))));
    if back.routed_at.is_some() {
        let silent = back.silent_at.map(after);
        let left = version(&back.left);
        lines.push(fact("silence", &done(&format!("no new request on {left}"), silent)));
    }
    lines.extend(back.recovered.as_ref().map(|recovery| recovered(back, recovery)));
    lines
}

/// What was seen of the instances that serve since, one line each.
pub fn checkup(seen: &Checkup) -> Vec<Line> {
    let head = fact("seen", &format!("{} at {}", version(&seen.revision), clock(seen.at)));
    let line = |one: &CheckedInstance| {
        let tone = if one.healthy { Tone::Good } else { Tone::Bad };
        let errors = count(one.error_lines as u64, "error line");
        let last = count(one.lines as u64, "line");
        Line::plain(format!("    {}  ", one.instance))
            .add(tone, &one.phase)
            .text(format!("  {}  {errors} in the last {last}", one.probe))
    };
    std::iter::once(head).chain(seen.instances.iter().map(line)).collect()
}

/// The same in a few words.
pub fn checkup_words(seen: &Checkup) -> String {
    let healthy = seen.instances.iter().filter(|one| one.healthy).count();
    let of = count(seen.instances.len() as u64, "instance");
    let errors: usize = seen.instances.iter().map(|one| one.error_lines).sum();
    format!("then {healthy} of {of} healthy, {}", count(errors as u64, "error line"))
}

/// Whether errors stayed although traffic went back.
pub fn is_unwell(record: &RolloutRecord) -> bool {
    let recovery = record.back.as_ref().and_then(|back| back.recovered.as_ref());
    matches!(recovery, Some(Recovery::NotRecovered { .. }))
}

fn done(what: &str, after: Option<Millis>) -> String {
    after.map_or_else(|| format!("not {what} yet"), |after| format!("{what} after {after}"))
}

fn recovered(back: &WayBack, recovery: &Recovery) -> Line {
    match recovery {
        Recovery::Recovered { at, rate, limit } => {
            let (rate, limit) = (percent(*rate), percent(*limit));
            let after = at.since(back.began_at);
            let before = before(back);
            fact("errors", &format!("back at {rate} ({before}limit {limit}) after {after}"))
        }
        Recovery::NotRecovered { rate, limit, .. } => {
            let text = format!(
                "not back: {} ({}limit {}); what was left was not the reason",
                percent(*rate),
                before(back),
                percent(*limit)
            );
            label("errors").add(Tone::Bad, text)
        }
        Recovery::NotMeasured { why, .. } => fact("errors", &format!("not measured: {why}")),
    }
}

/// What errors were before there was anything to go back from.
fn before(back: &WayBack) -> String {
    back.before.map_or_else(String::new, |rate| format!("before {}, ", percent(rate)))
}

fn fact(name: &str, text: &str) -> Line {
    label(name).text(text)
}

fn label(name: &str) -> Line {
    let gap = " ".repeat(8usize.saturating_sub(name.len()));
    Line::plain("  ").add(Tone::Bold, format!("{name}:")).text(gap)
}

/// A fact among those with longer names.
fn named(name: &str, text: &str) -> Line {
    let gap = " ".repeat(10usize.saturating_sub(name.len()));
    Line::plain("  ").add(Tone::Bold, format!("{name}:")).text(gap).text(text)
}
