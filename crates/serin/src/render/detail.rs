//! One service in full: its rollout, traffic, verdict and instances.

use super::table::Table;
use super::verdict::verdict;
use super::words::{ago, bytes, count, millis_or, percent, share, span, thousands};
use super::{Frame, beside, end, state_tone, status, version, waiting};
use crate::printer::{Line, Tone};
use serin_core::RevisionId;
use serin_server::api::view::{ArmView, InstanceRow, RolloutView, ServiceView};
use std::collections::BTreeMap;

/// The tree of a service.
pub fn detail(service: &ServiceView, frame: &Frame) -> Vec<Line> {
    let mut lines = vec![title(service, frame)];
    if let Some(rollout) = &service.rollout {
        lines.extend(rollout_lines(rollout, frame));
    } else if let Some(last) = &service.last {
        lines.push(Line::plain("  last rollout ").then(end::one_line(last, frame)));
    }
    lines.extend(beside::of_service(service, frame));
    lines.extend(section("traffic", traffic(service, frame)));
    if let Some(rollout) = &service.rollout {
        lines.extend(verdict_lines(rollout, frame));
    }
    lines.extend(section("instances", instances(service, frame)));
    let note = |text: &String| Line::plain("  ").add(Tone::Warn, "note").text(": ").text(text);
    lines.extend(service.notes.iter().map(note));
    lines.push(waiting(&service.waiting_for, "  "));
    lines.into_iter().flat_map(|line| line.hang(frame.columns(), 4)).collect()
}

fn title(service: &ServiceView, frame: &Frame) -> Line {
    Line::toned(Tone::Bold, service.name.as_str())
        .text("  ")
        .add(state_tone(&service.state), &service.state)
        .text(format!("  {}", status::revisions(service, frame)))
        .add(Tone::Dim, format!("  {}{}", address(service), service.environment))
}

fn address(service: &ServiceView) -> String {
    service.listen.map_or_else(String::new, |listen| format!("http://{listen}  "))
}

fn rollout_lines(rollout: &RolloutView, frame: &Frame) -> Vec<Line> {
    let since = ago(rollout.started_at, frame.now);
    let mut head = Line::plain(format!("  rollout {} by {}, {since}", rollout.id, rollout.by));
    if let Some(reason) = &rollout.reason {
        head = head.text(": ").text(reason);
    }
    let mut lines = vec![head];
    if let Some(cause) = &rollout.cause {
        lines.push(Line::plain("  ").add(Tone::Bad, "going back").text(": ").text(cause));
    }
    lines.extend(steps(rollout, frame));
    lines.extend(beside::of_rollout(rollout, frame));
    lines
}

/// One line a step: done, under way, still to come.
fn steps(rollout: &RolloutView, frame: &Frame) -> Vec<Line> {
    let line = |(index, words): (usize, &String)| {
        let number = index + 1;
        let (glyph, tone) = step_mark(rollout, number, frame);
        let line = Line::plain("  ").add(tone, glyph).text(format!(" {number} {words}"));
        if number == rollout.step && rollout.phase == "stepping" {
            line.add(Tone::Dim, format!("  for {}", span(frame.now.since(rollout.step_entered_at))))
        } else {
            line
        }
    };
    rollout.step_words.iter().enumerate().map(line).collect()
}

/// The sign of a step.
pub fn step_mark(rollout: &RolloutView, number: usize, frame: &Frame) -> (&'static str, Tone) {
    let glyphs = frame.glyphs;
    if number < rollout.step {
        (glyphs.done, Tone::Good)
    } else if number > rollout.step {
        (glyphs.later, Tone::Dim)
    } else if rollout.phase == "reverting" {
        (glyphs.failed, Tone::Bad)
    } else if rollout.paused.is_some() {
        (glyphs.paused, Tone::Warn)
    } else {
        (glyphs.now, Tone::Accent)
    }
}

fn section(name: &str, lines: Vec<Line>) -> Vec<Line> {
    if lines.is_empty() {
        return lines;
    }
    std::iter::once(Line::toned(Tone::Bold, format!("  {name}"))).chain(lines).collect()
}

fn traffic(service: &ServiceView, frame: &Frame) -> Vec<Line> {
    let heads = ["REVISION", "ROLE", "ASKED", "GOT", "REQUESTS", "ERRORS", "MEDIAN", "P99"];
    let mut table = Table::new(&heads, &[2, 3, 4, 5, 6, 7]);
    let mut arms = status::in_plan(&service.traffic).peekable();
    if arms.peek().is_none() {
        return Vec::new();
    }
    arms.for_each(|arm| table.row(arm_cells(arm)));
    table.lines(frame, "  ")
}

fn arm_cells(arm: &ArmView) -> Vec<Line> {
    let cells = [
        version(&arm.revision).to_owned(),
        arm.role.clone(),
        percent(share(arm.asked)),
        arm.realised.map_or_else(|| "-".into(), percent),
        thousands(arm.requests),
        thousands(arm.errors),
        millis_or(arm.p50_ms, "-"),
        millis_or(arm.p99_ms, "-"),
    ];
    cells.into_iter().map(Line::plain).collect()
}

fn verdict_lines(rollout: &RolloutView, frame: &Frame) -> Vec<Line> {
    let table = verdict(rollout, frame);
    if table.is_empty() {
        return table;
    }
    let outcome = rollout.verdict.as_deref().and_then(|text| text.split(':').next());
    let head = Line::toned(Tone::Bold, "  verdict")
        .text(format!("  {}", outcome.unwrap_or("not decided yet")))
        .add(Tone::Dim, format!("  {} requests judged", thousands(rollout.judged)));
    std::iter::once(head).chain(table).collect()
}

/// Every instance under its revision.
fn instances(service: &ServiceView, frame: &Frame) -> Vec<Line> {
    let heads = ["NAME", "STATE", "PORT", "PID", "CPU", "MEMORY"];
    let mut table = Table::new(&heads, &[2, 3, 4, 5]);
    let mut revisions = BTreeMap::<_, Vec<&InstanceRow>>::new();
    for instance in service.instances.iter().filter(|i| !is_past(service, i)) {
        revisions.entry(&instance.revision).or_default().push(instance);
    }
    for (revision, shown) in &revisions {
        table.title(title_of(service, revision, shown));
        for instance in shown {
            table.row(instance_cells(instance));
        }
    }
    if revisions.is_empty() { Vec::new() } else { table.lines(frame, "  ") }
}

/// `v1  stable  2 of 3 instances ready, 1 replaced unasked`: replacements are counted by revision.
fn title_of(service: &ServiceView, revision: &RevisionId, shown: &[&InstanceRow]) -> Line {
    let ready = shown.iter().filter(|instance| instance.phase == "ready").count();
    let running = shown.iter().filter(|instance| instance.phase != "exited").count();
    let replaced = shown.iter().map(|instance| instance.restarts).max().unwrap_or(0);
    let line = Line::toned(Tone::Bold, version(revision))
        .text(format!("  {}", part(service, revision)))
        .text(format!("  {ready} of {} ready", count(running as u64, "instance")));
    let tail = format!(", {replaced} replaced unasked");
    line.add(Tone::Warn, if replaced > 0 { &tail } else { "" })
}

/// The part a revision has in its service.
fn part(service: &ServiceView, revision: &RevisionId) -> &'static str {
    let rollout = service.rollout.as_ref();
    if service.stable.as_ref() == Some(revision) {
        "stable"
    } else if rollout.is_some_and(|rollout| rollout.candidate == *revision) {
        "candidate"
    } else if rollout.is_some_and(|r| r.variants.iter().any(|arm| arm.revision == *revision)) {
        "variant"
    } else if service.kept.as_ref().is_some_and(|kept| kept.revision == *revision) {
        "kept"
    } else {
        "leaving"
    }
}

/// Ended, and either replaced or of a revision that is out of play.
fn is_past(service: &ServiceView, instance: &InstanceRow) -> bool {
    let same = |other: &&InstanceRow| other.revision == instance.revision;
    let replaced = service.instances.iter().filter(same).any(|other| other.phase != "exited");
    let rollout = service.rollout.as_ref();
    let candidate = rollout.is_some_and(|rollout| rollout.candidate == instance.revision);
    let in_play = candidate || service.stable.as_ref() == Some(&instance.revision);
    instance.phase == "exited" && (replaced || !in_play)
}

fn instance_cells(instance: &InstanceRow) -> Vec<Line> {
    let or_dash = |text: Option<String>| Line::plain(text.unwrap_or_else(|| "-".into()));
    let tone = match instance.phase.as_str() {
        "ready" => Tone::Good,
        "exited" | "not-ready" => Tone::Bad,
        _ => Tone::Warn,
    };
    vec![
        Line::plain(format!("  {}", instance.id)),
        Line::toned(tone, &instance.phase),
        Line::plain(instance.port.to_string()),
        or_dash(instance.pid.map(|pid| pid.to_string())),
        or_dash(instance.cpu_percent.map(|cpu| format!("{cpu:.0} %"))),
        or_dash(instance.rss_bytes.map(bytes)),
    ]
}
