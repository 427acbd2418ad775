//! What still runs and serves nobody, and what that costs.

use crate::{KeptFor, Phase, RevisionId, Role, Rollout, Service, Timestamp, Weight};
use serde::{Deserialize, Serialize};

/// Instances that are kept although they serve nobody, or wait for somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leftover {
    /// Whose.
    pub revision: RevisionId,
    /// What for.
    pub kind: LeftoverKind,
    /// Since when.
    pub since: Timestamp,
    /// When they go by themselves; `None` when a person has to act.
    pub until: Option<Timestamp>,
    /// How many.
    pub instances: u32,
    /// Hours of instances so far.
    pub instance_hours: f64,
    /// What they cost so far, in the currency of the file.
    pub cost: Option<f64>,
}

/// Why instances are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftoverKind {
    /// The old revision, for a way back at once.
    OldRevision,
    /// A revision that was decided against, to look at.
    FailedCandidate,
    /// Stable while the candidate has all traffic and is watched.
    WarmStable,
    /// The candidate of a rollout that waits for a person.
    PausedCandidate,
}

/// Everything of `service` that runs and serves nobody, or waits for somebody, at `now`.
pub fn leftovers(service: &Service, now: Timestamp) -> Vec<Leftover> {
    let kept = service.kept.iter().map(|kept| {
        let kind = match kept.why {
            KeptFor::WayBack => LeftoverKind::OldRevision,
            KeptFor::Inspection => LeftoverKind::FailedCandidate,
        };
        (kept.revision.clone(), kind, kept.since, Some(kept.until))
    });
    let rollout = service.rollout.as_ref().and_then(|r| of_rollout(service, r));
    let all = kept.chain(rollout);
    all.map(|(revision, kind, since, until)| count(service, revision, kind, (since, until), now))
        .filter(|left| left.instances > 0)
        .collect()
}

type Found = (RevisionId, LeftoverKind, Timestamp, Option<Timestamp>);

fn of_rollout(service: &Service, rollout: &Rollout) -> Option<Found> {
    if rollout.paused.is_some() {
        let since = rollout.paused_at.unwrap_or(rollout.step.entered_at);
        return Some((rollout.candidate.clone(), LeftoverKind::PausedCandidate, since, None));
    }
    let Phase::Warm { since } = rollout.phase else { return None };
    let until = since.plus(rollout.schedule.watch());
    Some((service.stable.clone()?, LeftoverKind::WarmStable, since, Some(until)))
}

fn count(
    service: &Service,
    revision: RevisionId,
    kind: LeftoverKind,
    (since, until): (Timestamp, Option<Timestamp>),
    now: Timestamp,
) -> Leftover {
    let planned = service.plan.as_deref().and_then(|plan| plan.revisions.get(&revision));
    let idle = |r: &crate::RevisionPlan| r.weight == Weight::NONE || r.role == Role::Candidate;
    let instances = planned.filter(|r| idle(r)).map_or(0, |r| r.replicas);
    let instance_hours = now.since(since).0 as f64 / 3_600_000.0 * f64::from(instances);
    let cost = service.spec.instance_hour_cost.map(|hour| hour * instance_hours);
    Leftover { revision, kind, since, until, instances, instance_hours, cost }
}
