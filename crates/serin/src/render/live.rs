//! The block that is kept up to date while a rollout is followed.

use super::detail::step_mark;
use super::verdict::summary;
use super::words::{percent, share, span};
use super::{Frame, beside, state_tone, status, version, waiting};
use crate::printer::{Line, Tone, wrap};
use serin_server::api::view::{RolloutView, ServiceView};

/// Width of the traffic bar.
const BAR: usize = 24;
/// A sentence gets at least as many columns.
const NARROWEST: usize = 12;

/// A service and its rollout in a few lines.
pub fn live(service: &ServiceView, frame: &Frame) -> Vec<Line> {
    let mut lines = vec![
        Line::toned(Tone::Bold, service.name.as_str())
            .text("  ")
            .add(state_tone(&service.state), &service.state)
            .text(format!("  {}", status::revisions(service, frame))),
    ];
    if let Some(rollout) = &service.rollout {
        lines.extend(steps(rollout, frame));
        lines.push(bar(service, rollout, frame));
        lines.extend(summary(rollout));
        lines.extend(beside::of_rollout(rollout, frame));
    }
    // The last column stays free.
    let room = frame.columns().saturating_sub(1);
    let mut lines: Vec<_> = lines.into_iter().flat_map(|line| line.hang(room, 4)).collect();
    lines.extend(waiting_lines(&service.waiting_for, frame));
    lines
}

/// The sentence in full, however narrow the terminal; its last column stays free.
fn waiting_lines(sentence: &str, frame: &Frame) -> Vec<Line> {
    let head = waiting("", "  ").width();
    let room =
        frame.width.map_or(usize::MAX, |width| width.saturating_sub(head + 1).max(NARROWEST));
    let mut parts = wrap(sentence, room).into_iter();
    let first = waiting(&parts.next().unwrap_or_default(), "  ");
    let rest = parts.map(|part| Line::plain(" ".repeat(head)).text(part));
    std::iter::once(first).chain(rest).collect()
}

/// `step 2 of 5  ✔◷···  bake at least 5 s  41 s`.
fn steps(rollout: &RolloutView, frame: &Frame) -> Option<Line> {
    if rollout.steps == 0 {
        return None;
    }
    let number = rollout.step.min(rollout.steps);
    let mut line = Line::plain(format!("  step {number} of {}  ", rollout.steps));
    for step in 1..=rollout.steps {
        let (glyph, tone) = step_mark(rollout, step, frame);
        line = line.add(tone, glyph);
    }
    let words = rollout.step_words.get(rollout.step.wrapping_sub(1));
    let time = span(frame.now.since(rollout.step_entered_at));
    Some(match words {
        Some(words) => line.text(format!("  {words}")).add(Tone::Dim, format!("  {time}")),
        None => line.text("  all steps done"),
    })
}

/// The candidate's share as a bar, asked and got.
fn bar(service: &ServiceView, rollout: &RolloutView, frame: &Frame) -> Line {
    let weight = share(rollout.weight);
    let full = (weight * BAR as f64).round() as usize;
    let got = service.traffic.iter().find(|arm| arm.revision == rollout.candidate);
    let got = got.and_then(|arm| arm.realised).map(|r| format!(" (got {})", percent(r)));
    let line = Line::plain("  ")
        .add(Tone::Accent, frame.glyphs.full.repeat(full))
        .add(Tone::Dim, frame.glyphs.empty.repeat(BAR - full.min(BAR)))
        .text(format!("  {} {}", version(&rollout.candidate), rollout.weight))
        .text(got.unwrap_or_default());
    match &rollout.baseline {
        Some(baseline) => line.text(format!("  {} {}", version(baseline), rollout.weight.rest())),
        None => line,
    }
}
