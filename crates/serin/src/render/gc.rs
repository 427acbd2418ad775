//! What runs and serves nobody, and what that costs.

use super::table::Table;
use super::words::{ago, span};
use super::{Frame, version};
use crate::printer::{Line, Tone};
use serin_core::LeftoverKind;
use serin_server::api::view::{LeftoverView, Leftovers};

const HEADS: [&str; 8] =
    ["SERVICE", "REVISION", "INSTANCES", "SINCE", "GOES IN", "HOURS", "COST", "WHAT"];

/// One row for each revision, and the sum.
pub fn leftovers(left: &Leftovers, frame: &Frame) -> Vec<Line> {
    if left.leftovers.is_empty() {
        return vec![Line::toned(Tone::Dim, "nothing is left over: every instance has its part")];
    }
    let mut table = Table::new(&HEADS, &[2, 5, 6]);
    left.leftovers.iter().for_each(|one| table.row(cells(one, frame)));
    let mut lines = table.lines(frame, "");
    lines.push(sum(left));
    lines
}

fn cells(one: &LeftoverView, frame: &Frame) -> Vec<Line> {
    let left = &one.left;
    let goes = match left.until {
        Some(until) if until <= frame.now => "now".into(),
        Some(until) => span(until.since(frame.now)),
        None => "a person".into(),
    };
    let cells = [
        one.service.to_string(),
        version(&left.revision).to_owned(),
        left.instances.to_string(),
        ago(left.since, frame.now),
        goes,
        format!("{:.1}", left.instance_hours),
        left.cost.map_or_else(|| "-".into(), |cost| format!("{cost:.2}")),
        kind(left.kind).into(),
    ];
    cells.into_iter().map(Line::plain).collect()
}

fn kind(kind: LeftoverKind) -> &'static str {
    match kind {
        LeftoverKind::OldRevision => "kept for a way back at once",
        LeftoverKind::FailedCandidate => "kept to be looked at",
        LeftoverKind::WarmStable => "stable, kept warm during the watch",
        LeftoverKind::PausedCandidate => "candidate of a rollout that waits for a person",
    }
}

fn sum(left: &Leftovers) -> Line {
    let all = || left.leftovers.iter().map(|one| &one.left);
    let instances: u32 = all().map(|left| left.instances).sum();
    let hours: f64 = all().map(|left| left.instance_hours).sum();
    let costs: Vec<f64> = all().filter_map(|left| left.cost).collect();
    let cost = match costs.as_slice() {
        [] => String::new(),
        costs => format!(", {:.2} so far", costs.iter().sum::<f64>()),
    };
    let text = format!("in all {instances} instances, {hours:.1} instance-hours{cost}");
    Line::toned(Tone::Bold, text)
}
