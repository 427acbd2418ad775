//! The table of services.

use super::table::Table;
use super::{Frame, state_tone, version};
use crate::printer::{Line, Tone};
use serin_core::WaitingOn;
use serin_server::api::view::{ArmView, ServiceView};

const HEADS: [&str; 6] = ["SERVICE", "STATE", "REVISION", "TRAFFIC", "STEP", "WAITING ON"];

/// All services, one a row.
pub fn status(services: &[ServiceView], frame: &Frame) -> Vec<Line> {
    let mut table = Table::new(&HEADS, &[]);
    for service in services {
        table.row(vec![
            Line::toned(Tone::Bold, service.name.as_str()),
            Line::toned(state_tone(&service.state), &service.state),
            Line::plain(revisions(service, frame)),
            Line::plain(traffic(service)),
            Line::plain(step(service)),
            Line::plain(waiting_for(service, frame)),
        ]);
    }
    let untold = services.iter().flat_map(|service| {
        let named = |line: Line| Line::toned(Tone::Bold, service.name.as_str()).then(line);
        super::beside::untold(service).into_iter().map(named)
    });
    table.lines(frame, "").into_iter().chain(untold).collect()
}

/// `v1`, or `v1 → v2` while it moves.
pub fn revisions(service: &ServiceView, frame: &Frame) -> String {
    let arrow = frame.glyphs.arrow;
    let stable = service.stable.as_ref().map(version);
    match &service.rollout {
        None => stable.unwrap_or("none").to_owned(),
        Some(rollout) => match rollout.baseline.as_ref().map(version) {
            Some(from) => format!("{from} {arrow} {}", version(&rollout.candidate)),
            None => version(&rollout.candidate).to_owned(),
        },
    }
}

/// `v1 95 % / v2 5 %`: who gets what, stable first.
fn traffic(service: &ServiceView) -> String {
    let mut arms: Vec<_> = in_plan(&service.traffic).filter(|arm| arm.asked.parts() > 0).collect();
    arms.sort_by_key(|arm| arm.role != "stable");
    let words: Vec<_> =
        arms.iter().map(|arm| format!("{} {}", version(&arm.revision), arm.asked)).collect();
    words.join(" / ")
}

/// Traffic of the revisions that have a part in the present plan.
pub fn in_plan(traffic: &[ArmView]) -> impl Iterator<Item = &ArmView> {
    traffic.iter().filter(|arm| arm.role != "former")
}

fn step(service: &ServiceView) -> String {
    match &service.rollout {
        Some(rollout) if rollout.steps > 0 => {
            format!("{}/{}", rollout.step.min(rollout.steps), rollout.steps)
        }
        _ => String::new(),
    }
}

fn waiting_for(service: &ServiceView, frame: &Frame) -> String {
    match (&service.waiting_on, &service.last) {
        (WaitingOn::Nothing, Some(last)) if last.cause.is_some() && service.rollout.is_none() => {
            let ago = super::words::ago(last.ended_at, frame.now);
            format!("nothing; {} {} {ago}", version(&last.to), last.outcome.as_str())
        }
        _ => service.waiting_for.clone(),
    }
}
