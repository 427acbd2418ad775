//! What a rollout has beside its two shares, and a service beside its rollout.

use super::words::{ago, clock, count, moment, thousands};
use super::{Frame, back, class, version};
use crate::printer::{Line, Tone};
use serin_core::{KeptFor, Places};
use serin_server::api::view::{RolloutView, ServiceView, TestView, UntoldView, VariantView};

/// Tests, approvals, routes, copies, arms, and the way back of a rollout under way.
pub fn of_rollout(rollout: &RolloutView, frame: &Frame) -> Vec<Line> {
    let mut lines: Vec<Line> = rollout.tests.iter().map(|test| test_line(test, frame)).collect();
    if let Some(approval) = &rollout.approval {
        let given = match approval.given.as_slice() {
            [] => "nobody yet".to_owned(),
            given => given.join(", "),
        };
        let who = match approval.from.as_slice() {
            [] => String::new(),
            from => format!("; {} may", from.join(", ")),
        };
        let until = approval.until.map(|at| format!("; until {}", clock(at)));
        let of = format!("{} of {}: {given}{who}", approval.given.len(), approval.wanted);
        lines.push(named("approved by", &format!("{of}{}", until.unwrap_or_default())));
    }
    if !rollout.routes.is_empty() {
        lines.push(named("routes", &rollout.routes.join(", ")));
    }
    if let Some(share) = rollout.mirror {
        let text = format!("{share} of the requests are copied; users see stable alone");
        lines.push(named("mirror", &text));
    }
    lines.extend(rollout.variants.iter().map(variant));
    lines.extend(rollout.places.as_ref().map(places));
    if let Some(since) = rollout.downtime.since {
        let text = format!("nobody answers users, since {}", clock(since));
        lines.push(warned("downtime", &text));
    } else if rollout.downtime.total.0 > 0 {
        lines.push(warned("downtime", &rollout.downtime.total.to_string()));
    }
    lines.extend(rollout.notes.iter().map(|what| warned("note", what)));
    lines.extend(rollout.skipped.iter().map(|what| warned("skipped", what)));
    lines.extend(rollout.back.iter().flat_map(back::proof));
    lines
}

fn test_line(test: &TestView, frame: &Frame) -> Line {
    let (glyph, tone) = match test.passed {
        Some(true) => (frame.glyphs.done, Tone::Good),
        Some(false) => (frame.glyphs.failed, Tone::Bad),
        None => (frame.glyphs.now, Tone::Accent),
    };
    let tries = match (test.passed, test.attempt, test.tries) {
        (None, attempt, tries) if tries > 1 => format!("  try {attempt} of {tries}"),
        _ => String::new(),
    };
    let said = if test.passed == Some(true) { "" } else { test.text.trim() };
    let said = said.lines().last().map_or_else(String::new, |line| format!("  {line}"));
    Line::plain("    ").add(tone, glyph).text(format!(" test {}{tries}{said}", test.name))
}

/// Instances ordered where the candidate takes stable's places.
fn places(places: &Places) -> Line {
    let failed = places.failed.map_or_else(String::new, |failed| match failed.until {
        Some(until) => format!("; {} went back, tried again at {}", failed.places, clock(until)),
        None => format!("; {} went back, a person decides", failed.places),
    });
    named("places", &format!("{} old, {} new{failed}", places.stable, places.candidate))
}

fn variant(arm: &VariantView) -> Line {
    let (requests, failed) = arm.counted;
    let counted = format!("{}, {} failed", count(requests, "request"), thousands(failed));
    let line = named("variant", &format!("{} {}, {counted}", version(&arm.revision), arm.weight));
    match (&arm.dropped, &arm.verdict) {
        (Some(why), _) => line.add(Tone::Bad, format!("; left: {why}")),
        (None, Some(verdict)) => line.add(Tone::Dim, format!("; {verdict}")),
        (None, None) => line,
    }
}

/// What waits, what is held, what is kept, and the way back.
pub fn of_service(service: &ServiceView, frame: &Frame) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(queued) = &service.queued {
        let why = queued.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let since = ago(queued.at, frame.now);
        let text = format!("{} by {}, {since}{why}", version(&queued.revision), queued.by);
        lines.push(named("queued", &text));
    }
    for boarded in &service.boarded {
        let why = boarded.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let (id, at) = (version(&boarded.revision), moment(boarded.departs));
        lines.push(named("train", &format!("{id} by {}, leaves at {at}{why}", boarded.by)));
    }
    lines.extend(service.clients.iter().map(|serves| named("clients", serves)));
    if let Some(hold) = &service.hold {
        let text = format!(
            "{} and older are not deployed again, since {} by {}; `serin release {}` ends it",
            version(&hold.left),
            moment(hold.since),
            hold.by.0,
            service.name
        );
        lines.push(warned("held", &text));
    }
    if let Some(kept) = &service.kept {
        let what = match kept.why {
            KeptFor::WayBack => "for a way back at once",
            KeptFor::Inspection => "to be looked at",
        };
        let text = format!(
            "{} of {}, until {}, {what}",
            count(u64::from(kept.replicas), "instance"),
            version(&kept.revision),
            moment(kept.until)
        );
        lines.push(named("kept", &text));
    }
    lines.extend(untold(service));
    let way = service.way_back.as_ref().filter(|_| service.rollout.is_none());
    if let Some(way) = way {
        let to = way.to.as_ref().map_or("nothing", version);
        lines.push(named("way back", &format!("to {to}, {}: {}", class(way.class), way.text)));
    }
    lines
}

/// People who are not told what they asked to be told.
pub fn untold(service: &ServiceView) -> Vec<Line> {
    let line = |one: &UntoldView| {
        let counts = [(one.waiting, "tried again"), (one.lost, "given up")];
        let some = counts.into_iter().filter(|(n, _)| *n > 0);
        let some = some.map(|(n, what)| format!("{} {what}", count(n as u64, "message")));
        let some: Vec<_> = some.collect();
        let (since, state) = (moment(one.since), some.join(", "));
        let text = format!("`{}` is not told since {since}: {}; {state}", one.target, one.why);
        warned("notify", &text)
    };
    service.untold.iter().map(line).collect()
}

fn named(name: &str, text: &str) -> Line {
    Line::plain("  ").add(Tone::Bold, name).text(": ").text(text)
}

fn warned(name: &str, text: &str) -> Line {
    Line::plain("  ").add(Tone::Warn, name).text(": ").text(text)
}

/// What `promote` would skip, one line a step.
pub fn skips(service: &ServiceView, full: bool) -> Vec<Line> {
    let Some(rollout) = service.rollout.as_ref().filter(|r| r.phase == "stepping") else {
        return vec![];
    };
    let first = rollout.step.saturating_sub(1);
    let many = if full { rollout.steps } else { 1 };
    let steps = rollout.step_words.iter().enumerate().skip(first).take(many);
    let line = |(index, words): (usize, &String)| {
        warned("skips", &format!("step {} of {}: {words}", index + 1, rollout.steps))
    };
    steps.map(line).collect()
}

/// What was written down as skipped between two views.
pub fn skipped(before: &ServiceView, after: &ServiceView) -> Vec<Line> {
    let known = before.rollout.as_ref().map_or(0, |rollout| rollout.skipped.len());
    let now = after.rollout.as_ref().map(|rollout| rollout.skipped.as_slice()).unwrap_or_default();
    now.iter().skip(known).map(|what| warned("recorded as skipped", what)).collect()
}
