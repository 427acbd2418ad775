//! What is known of migrations as lines of text.

use crate::printer::{Channel, Line, Printer, Tone};
use crate::render::Frame;
use crate::render::table::Table;
use crate::render::words::{ago, count, moment, span, thousands};
use serin_core::{Millis, Timestamp};
use serin_lint::{Finding, Severity};
use serin_migrate::{Aside, Drift, Hidden, Past, Progress, State, Status};
use std::fmt::Write as _;

/// Whether rows are being filled in, or will be.
fn fills(state: State) -> bool {
    matches!(state, State::Planned | State::Expanding | State::Backfilling)
}

/// Prints lines, broken to the width of the terminal.
pub fn put(printer: &Printer, lines: Vec<Line>) {
    let width = Channel::Out.size().map_or(usize::MAX, |(columns, _)| columns);
    for line in lines {
        for piece in line.hang(width, 8) {
            printer.data(&piece);
        }
    }
}

/// A finding: what, where, why, and what to do.
pub fn finding_lines(finding: &Finding, at: &str) -> Vec<Line> {
    let (tone, word) = match (finding.severity, &finding.allowed) {
        (_, Some(_)) => (Tone::Dim, "allowed"),
        (Severity::Block, None) => (Tone::Bad, "block"),
        (Severity::Warn, None) => (Tone::Warn, "warn"),
        (Severity::Info, None) => (Tone::Dim, "info"),
    };
    let head = Line::toned(tone, word).text("  ").add(Tone::Bold, &finding.rule);
    let mut lines = vec![head.text("  ").add(Tone::Accent, at)];
    lines.push(Line::plain("    ").text(&finding.message));
    if let Some(reason) = &finding.allowed {
        lines.push(Line::plain("    ").add(Tone::Dim, "allowed").text(": ").text(reason));
    } else if let Some(hint) = &finding.hint {
        lines.push(Line::plain("    ").add(Tone::Accent, "hint").text(": ").text(hint));
    }
    lines
}

/// What a comparison of both shapes found.
pub fn drift_line(drift: &Drift) -> Line {
    let label = Line::plain("  ").add(Tone::Bold, "both shapes").text(": ");
    if !drift.loose.is_empty() {
        return label.add(Tone::Bad, drift.to_string());
    }
    let looked = count(drift.looked_at.unsigned_abs(), "row");
    if drift.apart == 0 {
        return label.text(format!("they say the same in {looked} looked at"));
    }
    let text = format!("{} of {looked} looked at differ", thousands(drift.apart.unsigned_abs()));
    label.add(Tone::Bad, &text).text(format!(": {}", drift.rows.join(", ")))
}

/// How far a migration is, what it waits for, and what to do next.
pub fn status_lines(status: &Status, hidden: &[Hidden], now: Timestamp) -> Vec<Line> {
    let fact =
        |label: &str, text: String| Line::plain("  ").add(Tone::Bold, label).text(": ").text(text);
    let started = ago(Timestamp(status.started_ms), now);
    let mut lines = vec![
        Line::toned(Tone::Bold, &status.name)
            .text("  ")
            .add(state_tone(status.state), status.state.word())
            .text(format!("  in schema {}, started {started}", status.schema)),
    ];
    if let Some(step) = status.step.as_ref().filter(|_| !status.state.is_over()) {
        let waits = match step.lock_waits {
            0 => String::new(),
            n => format!(", its locks were not to be had {n} times"),
        };
        let text = format!("{} ({} of {}{waits})", step.title, step.number, step.of);
        lines.push(fact("step", text));
    }
    let progress = status.progress.as_ref().filter(|progress| progress.rows_total > 0);
    lines.extend(progress.map(|progress| fact("rows", rows(progress))));
    if let Some(duty) = status.duty.filter(|_| fills(status.state)) {
        lines.push(fact("rate", format!("{:.0} % of the time, set by hand", duty * 100.0)));
    }
    lines.extend(status.waiting.as_ref().map(|why| fact("waiting on", why.clone())));
    if status.paused {
        lines.push(fact("paused", "by hand; no row is filled".into()));
    }
    lines.extend(status.error.as_ref().map(|why| fact("stopped", why.clone())));
    lines.extend(status.holder.as_ref().map(|who| fact("worked on by", who.clone())));
    lines.extend(in_use(status).map(|text| fact("in use", text)));
    if status.irreversible > 0 && status.state != State::Reverted {
        let n = thousands(status.irreversible as u64);
        lines.push(fact("going back loses", format!("{n} values that the old shape cannot hold")));
    }
    lines.extend(hides(status, hidden).map(|text| fact("hidden", text)));
    lines.extend(status.warnings.iter().map(|text| fact("note", text.clone())));
    lines.extend(next(status).map(|text| fact("next", text.into())));
    lines
}

/// What its contract hid, and until when; the steps where more is not known.
fn hides(status: &Status, hidden: &[Hidden]) -> Option<String> {
    if status.hidden == 0 {
        return None;
    }
    let Some(own) = hidden.iter().find(|one| one.migration == status.id) else {
        let steps = count(status.hidden as u64, "step");
        return Some(format!("{steps} left for when the grace time is over"));
    };
    let things: Vec<&str> =
        own.what.iter().map(|step| step.strip_prefix("drop ").unwrap_or(step)).collect();
    let things = things.join(", ");
    let left = span(Millis(own.left_ms.unsigned_abs()));
    Some(if own.may_go() { things } else { format!("{things}; the grace time ends in {left}") })
}

/// Which schemas clients use.
fn in_use(status: &Status) -> Option<String> {
    let old = status.old_view.as_deref().unwrap_or(&status.schema);
    match status.state {
        State::Dual | State::Contracting if old != status.new_view => {
            Some(format!("{old} by the old version, {} by the new one", status.new_view))
        }
        State::Done => Some(status.new_view.clone()),
        State::Reverted => Some(old.to_owned()),
        _ => None,
    }
}

/// `1,204,000 of 5,000,000 of orders, 24.1 %, 61,000 a second, 1 min left`.
pub fn rows(progress: &Progress) -> String {
    let number = |n: i64| thousands(n.max(0) as u64);
    let mut text = format!(
        "{} of {} of {}, {:.1} %",
        number(progress.rows_done),
        number(progress.rows_total),
        progress.table,
        progress.percent,
    );
    if progress.rows_per_second > 0.0 {
        let _ = write!(text, ", {} a second", thousands(progress.rows_per_second as u64));
    }
    if let Some(left) = progress.left_ms {
        let _ = write!(text, ", {} left", span(Millis(left.max(0) as u64)));
    }
    if progress.batch_rows > 0 {
        let _ = write!(text, ", {} a batch", number(i64::from(progress.batch_rows)));
    }
    text
}

/// The command that comes next.
pub fn next(status: &Status) -> Option<&'static str> {
    let idle = status.holder.is_none();
    Some(match status.state {
        State::Planned | State::Expanding | State::Backfilling | State::Verifying => {
            match (status.paused, idle) {
                (true, _) | (false, true) => {
                    "`serin migrate resume`, or back: `serin migrate rollback`"
                }
                (false, false) => "wait, or hold it with `serin migrate pause`",
            }
        }
        State::Dual => {
            "move the app to the new version; then `serin migrate contract`, or `serin migrate rollback`"
        }
        State::Contracting | State::Reverting if idle => "`serin migrate resume`",
        State::Contracting | State::Reverting => "wait",
        State::Done if status.hidden > 0 => {
            "once the grace time is over the next `serin migrate start` drops what is hidden, or `serin \
             migrate clean`"
        }
        State::Done => return None,
        State::Reverted if status.error.is_some() => "correct it, then `serin migrate start`",
        State::Reverted => "`serin migrate start`, once it is wanted again",
    })
}

/// The tone of a state.
fn state_tone(state: State) -> Tone {
    match state {
        State::Done => Tone::Good,
        State::Reverting | State::Reverted => Tone::Bad,
        State::Dual => Tone::Warn,
        _ => Tone::Accent,
    }
}

/// All migrations, newest first.
pub fn history_lines(past: &[Past], frame: &Frame) -> Vec<Line> {
    let mut table = Table::new(&["MIGRATION", "STATE", "STARTED", "TOOK", "BY"], &[]);
    for one in past {
        let took = one
            .ended_ms
            .map_or_else(String::new, |ended| span(Millis((ended - one.started_ms).max(0) as u64)));
        table.row(vec![
            Line::plain(&one.name),
            Line::toned(state_tone(one.state), one.state.word()),
            Line::plain(moment(Timestamp(one.started_ms))),
            Line::plain(took),
            Line::plain(&one.who),
        ]);
    }
    table.lines(frame, "")
}

/// What a contract hid, and until when.
pub fn hidden_line(hidden: &Hidden) -> Line {
    let until = if hidden.may_go() {
        "its grace time is over; the next `serin migrate start` drops it, or `serin migrate clean`"
            .to_owned()
    } else {
        let left = span(Millis(hidden.left_ms.unsigned_abs()));
        format!("it can be brought back for {left} more")
    };
    Line::plain(format!("hidden by {} ({}): {until}", hidden.name, hidden.what.join(", ")))
}

/// What ways back put aside, and until when.
pub fn aside_lines(aside: &[Aside]) -> Vec<Line> {
    let line = |one: &Aside| {
        let state = match (one.restored, one.may_go) {
            (_, true) => "`serin migrate clean` drops it",
            (true, false) => "given back; it stays for the grace time",
            (false, false) => "given back when it starts again as it was",
        };
        let rows = count(one.rows.max(0) as u64, "row");
        Line::plain(format!("{}: {rows} of {} put aside in {}; ", one.name, one.table, one.kept_in))
            .text(state)
    };
    aside.iter().filter(|one| one.rows > 0).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State) -> Status {
        Status {
            id: 1,
            name: "02_total".into(),
            schema: "public".into(),
            old_view: None,
            new_view: "public_02_total".into(),
            state,
            step: None,
            progress: None,
            waiting: None,
            paused: false,
            duty: None,
            error: None,
            holder: None,
            started_ms: 0,
            dual_ms: None,
            ended_ms: None,
            irreversible: 0,
            hidden: 0,
            warnings: Vec::new(),
        }
    }

    fn text(status: &Status) -> String {
        let lines = status_lines(status, &[], Timestamp(60_000));
        lines.iter().map(|line| line.paint(false)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_status_says_what_is_and_what_comes() {
        let mut filling = status(State::Backfilling);
        filling.progress = Some(Progress::new("orders".into(), 1_204_000, 5_000_000, 61_000.0));
        filling.waiting = Some("a replica that is 3 s behind".into());
        filling.holder = Some("host 7".into());
        let text = text(&filling);
        for part in [
            "02_total  backfilling  in schema public, started 1 min ago",
            "rows: 1,204,000 of 5,000,000 of orders, 24.1 %, 61,000 a second, 1 min 2 s left",
            "waiting on: a replica that is 3 s behind",
            "next: wait, or hold it with `serin migrate pause`",
        ] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
    }

    #[test]
    fn what_is_hidden_is_named() {
        let done = Status { hidden: 2, ..status(State::Done) };
        let what = ["drop column \"total\" of \"users\"", "drop table \"old\""];
        let hidden = |migration, left_ms| {
            let what = what.map(str::to_owned).to_vec();
            [Hidden { migration, name: "02".into(), what, left_ms }]
        };
        let day = 86_400_000;
        let things = "column \"total\" of \"users\", table \"old\"";
        let left = format!("{things}; the grace time ends in 24 h");
        assert_eq!(hides(&done, &hidden(1, day)), Some(left));
        assert_eq!(hides(&done, &hidden(1, 0)), Some(things.into()));
        let steps = "2 steps left for when the grace time is over";
        assert_eq!(hides(&done, &hidden(9, day)), Some(steps.into()));
        assert_eq!(hides(&status(State::Done), &hidden(1, day)), None);
    }

    #[test]
    fn who_went_back_on_purpose_has_nothing_to_correct() {
        let back = status(State::Reverted);
        assert!(!next(&back).unwrap_or_default().contains("correct"));
        let failed = Status { error: Some("no".into()), ..back };
        assert!(next(&failed).unwrap_or_default().contains("correct"));
    }

    #[test]
    fn every_state_has_a_next_step_but_the_end() {
        for state in State::ALL {
            assert_eq!(next(&status(state)).is_none(), state == State::Done, "{state:?}");
        }
    }
}
