//! All rollouts of a service.

use super::table::Table;
use super::words::{moment, span};
use super::{Frame, state_tone, version};
use crate::printer::{Line, Tone};
use serin_core::{RolloutKind, RolloutRecord};
use serin_server::api::view::{Checkup, History};

const HEADS: [&str; 7] = ["ID", "STARTED", "REVISION", "OUTCOME", "TOOK", "BY", "WHY"];

/// Newest first.
pub fn history(history: &History, frame: &Frame) -> Vec<Line> {
    let mut table = Table::new(&HEADS, &[0]);
    for record in &history.rollouts {
        table.row(cells(record, history.checkups.get(&record.id), frame));
    }
    if history.rollouts.is_empty() {
        return vec![Line::toned(Tone::Dim, "no rollout has ended yet")];
    }
    table.lines(frame, "")
}

fn cells(record: &RolloutRecord, seen: Option<&Checkup>, frame: &Frame) -> Vec<Line> {
    let outcome = record.outcome.as_str();
    let revision = match &record.from {
        Some(from) => format!("{} {} {}", version(from), frame.glyphs.arrow, version(&record.to)),
        None => version(&record.to).to_owned(),
    };
    let why = record.cause.as_ref().map(|cause| cause.text.as_str()).or(record.reason.as_deref());
    vec![
        Line::plain(record.id.to_string()),
        Line::plain(moment(record.started_at)),
        Line::plain(revision),
        Line::toned(state_tone(outcome), outcome),
        Line::plain(span(record.ended_at.since(record.started_at))),
        Line::plain(&record.by.0),
        Line::plain(
            down(record)
                .into_iter()
                .chain((record.kind == RolloutKind::Config).then(|| "new configuration".into()))
                .chain(back(record))
                .chain(seen.map(super::back::checkup_words))
                .chain(why.map(Into::into))
                .collect::<Vec<_>>()
                .join("; "),
        ),
    ]
}

/// From the decision to go back until the route was confirmed.
fn back(record: &RolloutRecord) -> Option<String> {
    let back = record.back.as_ref()?;
    Some(format!("back in {}", back.routed_at?.since(back.began_at)))
}

/// Time in which nobody answered users.
fn down(record: &RolloutRecord) -> Option<String> {
    (record.downtime.0 > 0).then(|| format!("down {}", record.downtime))
}
