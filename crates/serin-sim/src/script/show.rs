//! The block that `show` writes: what a person would look at.

use serin_core::{
    Observation, Outlook, Phase, Plan, RevisionId, RevisionObservation, RolloutRecord, Service,
    Timestamp, WaitingOn, describe, verdict_sentence,
};
use serin_store::JournalRow;
use std::fmt::Write as _;

/// Everything there is to show.
pub(crate) struct Scene<'a> {
    pub(crate) service: &'a Service,
    pub(crate) waiting_on: WaitingOn,
    pub(crate) trouble: Option<&'a str>,
    /// The order the machine holds.
    pub(crate) held: Option<&'a Plan>,
    pub(crate) seen: &'a Observation,
    /// The newest lines of the journal as stored.
    pub(crate) journal: &'a [JournalRow],
    /// When the script began.
    pub(crate) start: Timestamp,
}

/// Minutes and seconds from `start` to `at`.
pub(crate) fn clock(start: Timestamp, at: Timestamp) -> String {
    let seconds = (at.0 - start.0) / 1000;
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.abs();
    format!("{sign}{}:{:02}", seconds / 60, seconds % 60)
}

/// The block.
pub(crate) fn block(scene: &Scene<'_>) -> String {
    let mut out = String::new();
    line(&mut out, "state", &state(scene.service));
    if let Some(trouble) = scene.trouble {
        line(&mut out, "trouble", trouble);
    }
    line(&mut out, "weights", &weights(scene.held));
    line(&mut out, "instances", &instances(scene));
    line(&mut out, "waiting on", &scene.waiting_on.to_string());
    let assessment = scene.service.rollout.as_ref().and_then(|r| r.assessment.as_ref());
    if let Some(assessment) = assessment {
        line(&mut out, "evidence", &verdict_sentence(assessment));
    }
    if let Some(last) = scene.service.last.as_ref().filter(|_| scene.service.rollout.is_none()) {
        line(&mut out, "last", &record(last));
    }
    for row in scene.journal {
        let at = clock(scene.start, row.entry.at);
        line(&mut out, "journal", &format!("{at} {}", row.entry.fact));
    }
    out
}

/// What a deploy would do.
pub(crate) fn plan(outlook: &Outlook) -> String {
    let mut out = String::new();
    for (number, step) in (1..).zip(&outlook.steps) {
        let (does, instances) = (&step.does, step.instances);
        let time = step.at_least.map_or("a person".into(), |span| format!("at least {span}"));
        let requests = step.requests.map_or(String::new(), |n| format!(", {n} requests"));
        let text = format!("{does} (candidate instances: {instances}, {time}{requests})");
        line(&mut out, &format!("step {number}"), &text);
    }
    let requests = outlook.requests.map_or(String::new(), |n| format!(", {n} candidate requests"));
    line(&mut out, "shortest", &format!("{}{requests}", outlook.shortest));
    outlook.notes.iter().for_each(|note| line(&mut out, "note", note));
    out
}

fn line(out: &mut String, key: &str, text: &str) {
    let _ = writeln!(out, "   | {key:<11}{text}");
}

fn state(service: &Service) -> String {
    let stable = service.stable.as_ref().map_or("no stable revision".to_owned(), |id| {
        format!("{} is stable, replicas: {}", id.version, service.spec.replicas)
    });
    let Some(rollout) = &service.rollout else {
        return format!("no rollout; {stable}{}", if service.removing { "; removing" } else { "" });
    };
    let phase = match &rollout.phase {
        Phase::Stepping => "stepping",
        Phase::Warm { .. } => "warm",
        Phase::Retiring => "retiring",
        Phase::Reverting { outcome, .. } => &format!("reverting ({})", outcome.as_str()),
    };
    let held = if rollout.paused.is_some() { ", paused" } else { "" };
    let at = rollout.step.index;
    let step = rollout.schedule.step(at).map_or("all steps done".into(), |step| {
        format!("step {} of {}: {}", at + 1, rollout.schedule.len(), describe(step))
    });
    let (kind, id) = (rollout.kind.as_str(), rollout.id);
    let to = &rollout.candidate.version;
    format!("rollout {id} ({kind}) to {to}, {phase}{held}, {step}; {stable}")
}

fn weights(held: Option<&Plan>) -> String {
    let arms = held.iter().flat_map(|plan| &plan.revisions);
    let arms = arms.map(|(id, r)| format!("{} {}", id.version, r.weight));
    or_none(&arms.collect::<Vec<_>>())
}

fn instances(scene: &Scene<'_>) -> String {
    let seen = scene.seen.revisions.iter().map(|(id, seen)| instances_of(id, seen));
    or_none(&seen.collect::<Vec<_>>())
}

fn instances_of(id: &RevisionId, seen: &RevisionObservation) -> String {
    let mut text = format!("{} {} ready", id.version, seen.ready);
    let more = [(seen.starting, "starting"), (seen.stopping, "stopping")];
    for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, " {count} {what}");
    }
    text
}

fn or_none(parts: &[String]) -> String {
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn record(last: &RolloutRecord) -> String {
    let cause = last.cause.as_ref().map(|c| format!(" at step {}: {}", c.step, c.text));
    let skipped = if last.skipped.is_empty() {
        String::new()
    } else {
        format!("; skipped {}", last.skipped.join(", "))
    };
    let (id, to, outcome) = (last.id, &last.to.version, last.outcome.as_str());
    format!("rollout {id} to {to} {outcome}{}{skipped}", cause.unwrap_or_default())
}
