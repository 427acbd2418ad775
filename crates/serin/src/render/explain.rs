//! Why it is waiting, or why it ended, from the journal.

use super::end::{Ended, end};
use super::verdict::verdict;
use super::words::clock;
use super::{Frame, back, beside, waiting};
use crate::printer::{Line, Tone};
use serin_core::{Fact, Severity};
use serin_server::api::view::{Explanation, JournalLine};

/// The whole story of the newest rollout.
pub fn explain(explanation: &Explanation, frame: &Frame) -> Vec<Line> {
    let service = &explanation.service;
    let mut lines = vec![waiting(&service.waiting_for, "")];
    if let Some(rollout) = &service.rollout {
        lines.extend(
            rollout
                .verdict
                .as_ref()
                .map(|verdict| Line::toned(Tone::Bold, "verdict").text(": ").text(verdict)),
        );
        lines.extend(verdict(rollout, frame));
        lines.extend(beside::of_rollout(rollout, frame));
    } else if let Some(last) = &service.last {
        let wanted = last.cause.is_none();
        let ended = Ended { service: service.name.as_str(), record: last, wanted };
        lines.extend(end(ended, frame).lines);
    }
    lines.extend(explanation.checkup.iter().flat_map(back::checkup));
    lines.extend(beside::of_service(service, frame));
    if !explanation.entries.is_empty() {
        lines.push(Line::toned(Tone::Bold, "journal"));
    }
    lines.extend(explanation.entries.iter().map(|line| Line::plain("  ").then(entry(line, false))));
    lines.into_iter().flat_map(|line| line.hang(frame.columns(), 4)).collect()
}

/// One line of the journal, with the service's name if asked for.
pub fn entry(line: &JournalLine, named: bool) -> Line {
    let tone = match (&line.entry.fact, line.entry.fact.severity()) {
        (_, Severity::Page) | (Fact::Reverting { .. } | Fact::PlanRefused { .. }, _) => Tone::Bad,
        (Fact::Promoted { .. } | Fact::Survived { .. } | Fact::Routed { .. }, _) => Tone::Good,
        (_, Severity::Warn) | (Fact::Removing { .. } | Fact::StepSkipped { .. }, _) => Tone::Warn,
        _ => Tone::Plain,
    };
    let name = if named { format!("{}: ", line.service) } else { String::new() };
    Line::toned(Tone::Dim, clock(line.entry.at)).text("  ").text(name).add(tone, &line.text)
}
