//! How a rollout ended: what happened, why, what it meant for users, and what to do.

use super::words::{count, span, thousands};
use super::{Frame, back, state_tone, version};
use crate::printer::{Line, Tone, wrap};
use serin_core::{Cause, ExitCause, Outcome, RolloutKind, RolloutRecord, StartFailure};

/// The last words about a rollout.
#[derive(Debug)]
pub struct End {
    /// The block.
    pub lines: Vec<Line>,
    /// One thing to do.
    pub hint: Option<String>,
}

/// A rollout that is over, and what is known around it.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The service's name.
    pub service: &'a str,
    /// What stayed of the rollout.
    pub record: &'a RolloutRecord,
    /// This end is what was asked for.
    pub wanted: bool,
}

/// The final block of a rollout.
pub fn end(ended: Ended<'_>, frame: &Frame) -> End {
    let Ended { service, record, wanted } = ended;
    match record.outcome {
        Outcome::Promoted => promoted(service, record, frame),
        _ if wanted => stopped(ended, frame),
        _ => failed(ended, frame),
    }
}

/// One line about a rollout that is over, for lists.
pub fn one_line(record: &RolloutRecord, frame: &Frame) -> Line {
    let outcome = record.outcome.as_str();
    let line = Line::plain(format!("{} to {} ", record.id, version(&record.to)))
        .add(state_tone(outcome), outcome)
        .text(format!(" {}", super::words::ago(record.ended_at, frame.now)));
    match &record.cause {
        Some(cause) => line.text(": ").text(&cause.text),
        None if record.downtime.0 > 0 => line.text(format!(", downtime {}", record.downtime)),
        None => line,
    }
}

/// The last word about a service that was taken away.
pub fn removed(service: &str, frame: &Frame) -> Line {
    Line::toned(Tone::Good, frame.glyphs.done).text(format!(" {service} is removed"))
}

fn promoted(service: &str, record: &RolloutRecord, frame: &Frame) -> End {
    let took = span(record.ended_at.since(record.started_at));
    let what = match record.kind {
        RolloutKind::First => "is up",
        RolloutKind::Release => "is promoted",
        RolloutKind::Config => "is promoted, a new configuration",
        RolloutKind::FastTrack => "is stable again, without its steps",
        RolloutKind::Rollback => "is stable again",
    };
    let line = Line::toned(Tone::Good, frame.glyphs.done)
        .text(format!(" {service}: {} {what}, after {took}", version(&record.to)));
    let steps = match (record.kind, record.steps) {
        (kind, n) if kind.is_tried() && n > 0 => format!(" and {}", count(n as u64, "step")),
        _ => String::new(),
    };
    let skipped = record.skipped.iter();
    let skipped =
        skipped.map(|what| Line::plain("  ").add(Tone::Warn, "skipped").text(": ").text(what));
    let proof = proofs(record);
    let lines = std::iter::once(line.text(steps)).chain(skipped).chain(proof);
    End { lines: lines.collect(), hint: back::is_unwell(record).then(|| unwell(service)) }
}

fn stopped(ended: Ended<'_>, frame: &Frame) -> End {
    let Ended { service, record, .. } = ended;
    let line = Line::toned(Tone::Good, frame.glyphs.done).text(format!(
        " {service}: rollout of {} {}",
        version(&record.to),
        record.outcome.as_str()
    ));
    let effect = wrapped("effect", &effect(record), frame);
    let lines = std::iter::once(line).chain(effect).chain(proofs(record)).collect();
    End { lines, hint: back::is_unwell(record).then(|| unwell(service)) }
}

fn failed(ended: Ended<'_>, frame: &Frame) -> End {
    let Ended { service, record, .. } = ended;
    let what = match record.outcome {
        _ if record.kind == RolloutKind::Rollback => "could not be gone back to",
        Outcome::RolledBack => "was rolled back",
        Outcome::Aborted => "was aborted",
        _ => "was superseded by a newer rollout",
    };
    let place = record.cause.as_ref().map_or_else(String::new, |cause| place(cause, record));
    let head = format!(": {} {what}{place}", version(&record.to));
    let mut lines = vec![Line::toned(Tone::Bad, "error").text(head)];
    if let Some(cause) = &record.cause {
        lines.extend(wrapped("because", &cause.text, frame));
        lines.extend(cause.failure.iter().flat_map(|failure| start_failure(failure, frame)));
    }
    lines.extend(wrapped("effect", &effect(record), frame));
    lines.extend(proofs(record));
    End { lines, hint: Some(hint(service, record)) }
}

/// What was measured: the way back, and time without anybody to answer.
fn proofs(record: &RolloutRecord) -> Vec<Line> {
    let notes = record.notes.iter();
    let notes = notes.map(|what| Line::plain("  ").add(Tone::Warn, "note").text(": ").text(what));
    let mut lines: Vec<_> = notes.chain(record.back.iter().flat_map(back::proof)).collect();
    if record.downtime.0 > 0 {
        let text = format!("{} in which nobody answered users", record.downtime);
        lines.push(Line::plain("  ").add(Tone::Warn, "downtime").text(": ").text(text));
    }
    lines
}

fn place(cause: &Cause, record: &RolloutRecord) -> String {
    match record.steps {
        0 => String::new(),
        steps => format!(" at step {} of {steps}", cause.step),
    }
}

/// What it meant for users. The judged requests are the record's own; other counters also know of
/// earlier rollouts.
fn effect(record: &RolloutRecord) -> String {
    let Some(from) = record.active.as_ref().or(record.from.as_ref()) else {
        return "there is no older revision: answers are 503".into();
    };
    let stable = format!("all traffic on {}", version(from));
    match judged(record) {
        Some((requests, failed)) => format!(
            "{stable}; {} was judged on {}, {} of them failed",
            version(&record.to),
            count(requests, "request"),
            thousands(failed)
        ),
        None => stable,
    }
}

/// Candidate requests that were judged, and how many of them failed.
fn judged(record: &RolloutRecord) -> Option<(u64, u64)> {
    let metrics = &record.assessment.as_ref()?.metrics;
    let errors = metrics.iter().find(|m| m.metric.to_string() == "errors")?;
    (errors.canary_n > 0).then_some((errors.canary_n, errors.canary_events))
}

/// How the instance ended, what its last probe said, and what it wrote.
fn start_failure(failure: &StartFailure, frame: &Frame) -> Vec<Line> {
    let mut lines =
        vec![fact("ended", &format!("{}: {}", failure.instance, exit_words(&failure.cause)))];
    lines.push(fact("probe", failure.last_probe.as_deref().unwrap_or("none was made before")));
    if failure.log.is_empty() {
        lines.push(fact("log", "it wrote nothing"));
        return lines;
    }
    lines.push(fact("log", &format!("its last {}", count(failure.log.len() as u64, "line"))));
    let rule = frame.glyphs.rule;
    lines.extend(
        failure.log.iter().map(|line| Line::toned(Tone::Dim, format!("    {rule} ")).text(line)),
    );
    lines
}

fn exit_words(cause: &ExitCause) -> String {
    let name = match cause {
        ExitCause::Signal(signal) => signal_name(*signal),
        _ => None,
    };
    name.map_or_else(|| cause.to_string(), |name| format!("{cause} ({name})"))
}

fn signal_name(signal: i32) -> Option<&'static str> {
    let names = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (15, "SIGTERM"),
        (24, "SIGXCPU"),
    ];
    names.into_iter().find(|(number, _)| *number == signal).map(|(_, name)| name)
}

fn fact(label: &str, text: &str) -> Line {
    Line::plain("  ")
        .add(Tone::Bold, format!("{label}:"))
        .text(" ".repeat(8usize.saturating_sub(label.len())))
        .text(text)
}

fn wrapped(label: &str, text: &str, frame: &Frame) -> Vec<Line> {
    let width = frame.width.map_or(usize::MAX, |width| width.saturating_sub(12).max(20));
    let mut lines = wrap(text, width).into_iter();
    let first = lines.next().map(|line| fact(label, &line));
    first.into_iter().chain(lines.map(|line| Line::plain(format!("{:11}{line}", "")))).collect()
}

/// The version was not the reason.
fn unwell(service: &str) -> String {
    format!(
        "look at what both versions use: `serin logs {service}`, `serin explain {service}`; \
         going forth again does not help"
    )
}

fn hint(service: &str, record: &RolloutRecord) -> String {
    let to = version(&record.to);
    let cause = record.cause.as_ref().map(|cause| cause.code.as_str());
    match (record.outcome, cause) {
        (Outcome::Superseded, _) => format!("see what runs now with `serin status {service}`"),
        (Outcome::Aborted, _) => {
            format!("see who stopped it, and why, with `serin history {service}`")
        }
        (_, Some("start" | "crash" | "not-ready")) => format!(
            "mend it and deploy it as a new revision; its log: `serin logs {service} --revision {to}`"
        ),
        _ => format!(
            "compare logs with `serin logs {service} --revision {to}`; \
             all numbers: `serin explain {service}`"
        ),
    }
}
