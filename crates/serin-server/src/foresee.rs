//! What a rollout would take on this machine: instances beside those that run, and time without
//! any.

use crate::api::view::{Foresight, StepRoom};
use serin_core::{Capacity, Outlook, RolloutRecord, Scale, Schedule, ServiceSpec, Step};

/// Instances and downtime of a rollout of `spec` that goes as `outlook` says; `records` are those
/// that ended before, the newest first.
pub(crate) fn foresee(
    spec: &ServiceSpec,
    outlook: &Outlook,
    records: &[RolloutRecord],
) -> Foresight {
    let schedule = &spec.schedule;
    let steps = rooms(spec, outlook);
    let more = |room: &StepRoom| room.total().saturating_sub(spec.replicas);
    let at_the_end = if is_beside(schedule) && !schedule.is_empty() { spec.replicas } else { 0 };
    let extra_at_most = steps.iter().map(more).max().unwrap_or(0).max(at_the_end);
    let extra_at_most = extra_at_most.max(surge(spec));
    let during = steps
        .iter()
        .zip(&outlook.steps)
        .map(|(room, step)| f64::from(more(room)) * hours(step.at_least.map_or(0, |time| time.0)));
    let kept = hours(schedule.watch().0 + schedule.keep_old.0) * f64::from(at_the_end);
    let extra_hours = during.sum::<f64>() + kept;
    Foresight {
        steps,
        extra_at_most,
        extra_hours,
        extra_cost: spec.instance_hour_cost.map(|cost| cost * extra_hours),
        capacity: capacity_words(spec),
        downtime: downtime(spec, records),
    }
}

fn is_beside(schedule: &Schedule) -> bool {
    schedule.capacity == Capacity::Beside
}

fn hours(ms: u64) -> f64 {
    ms as f64 / 3_600_000.0
}

/// The two sizes in each step.
fn rooms(spec: &ServiceSpec, outlook: &Outlook) -> Vec<StepRoom> {
    let mut scale = Scale::MatchWeight;
    let steps = spec.schedule.steps().map(|(_, step)| step).zip(&outlook.steps);
    let room = steps.map(|(step, seen)| {
        match step {
            Step::SetScale(to) => scale = *to,
            Step::SetWeight(_) => scale = Scale::MatchWeight,
            _ => {}
        }
        let candidate = match scale {
            Scale::MatchWeight => seen.instances,
            Scale::Instances(n) => n,
            Scale::Share(share) => {
                let exact = u64::from(spec.replicas) * u64::from(share.parts());
                exact.div_ceil(100_000) as u32
            }
        };
        StepRoom { stable: stable(spec, candidate), candidate }
    });
    room.collect()
}

/// Stable's size beside so many of the candidate, once the step is there.
fn stable(spec: &ServiceSpec, candidate: u32) -> u32 {
    if is_beside(&spec.schedule) { spec.replicas } else { spec.replicas.saturating_sub(candidate) }
}

/// Instances beyond the replicas while places change hands.
fn surge(spec: &ServiceSpec) -> u32 {
    match spec.schedule.capacity {
        Capacity::Beside => 0,
        Capacity::Replace { max_surge, .. } => max_surge.up(spec.replicas),
    }
}

fn capacity_words(spec: &ServiceSpec) -> String {
    let Capacity::Replace { max_surge, max_unavailable } = spec.schedule.capacity else {
        return "the old version keeps its full size until the new one has survived".into();
    };
    let (surge, fewer) = (max_surge.up(spec.replicas), max_unavailable.down(spec.replicas));
    if is_stop_and_start(spec) {
        return "the old version is stopped before the new one is started".into();
    }
    format!(
        "the new version takes the old one's places: at most {} at once, at least {} ready",
        spec.replicas + surge,
        spec.replicas.saturating_sub(fewer)
    )
}

/// Whether all of stable is stopped first.
fn is_stop_and_start(spec: &ServiceSpec) -> bool {
    match spec.schedule.capacity {
        Capacity::Beside => false,
        Capacity::Replace { max_surge, max_unavailable } => {
            max_surge.up(spec.replicas) == 0 && max_unavailable.down(spec.replicas) >= spec.replicas
        }
    }
}

/// How long users have nobody, with what was measured before.
fn downtime(spec: &ServiceSpec, records: &[RolloutRecord]) -> Option<String> {
    let text = "users get 503 from when the old version stops until the new one is ready";
    let measured: Vec<_> = records.iter().map(|r| r.downtime).filter(|span| span.0 > 0).collect();
    let before = match (measured.first(), measured.iter().max()) {
        (Some(last), Some(longest)) => {
            format!("{last} the last time, {longest} at most in {} times", measured.len())
        }
        _ => "never measured yet".into(),
    };
    is_stop_and_start(spec).then(|| format!("{text}; {before}"))
}

#[cfg(test)]
mod tests;
