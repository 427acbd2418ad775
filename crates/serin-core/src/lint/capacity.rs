//! What is promised while the two sides trade places.

use super::Note;
use crate::engine::scale::Fleet;
use crate::{Phase, Plan, RevisionId, Service, Weight};

/// Both sides' instances where they trade places. Only what a plan changes is its fault.
pub(super) fn kept(plan: &Plan, service: &Service) -> Option<Note> {
    let rollout = service.rollout.as_ref().filter(|r| r.places.is_some())?;
    let fleet = Fleet::of(rollout.schedule.capacity, service.spec.replicas)?;
    let stable = rollout.baseline.as_ref().filter(|_| !matches!(rollout.phase, Phase::Retiring))?;
    let size = |plan: Option<&Plan>, id| {
        plan.and_then(|plan| plan.revisions.get(id)).map_or(0, |r| r.replicas)
    };
    let before = service.plan.as_deref();
    let sides = [&rollout.candidate, stable].map(|id| (id, size(before, id), size(Some(plan), id)));
    let have = sides[0].2 + sides[1].2;
    if have > fleet.most() && sides.iter().any(|(_, old, new)| new > old) {
        return Some(Note::TooMany { have, most: fleet.most() });
    }
    let carried = |(id, _, new): &(&RevisionId, u32, u32)| {
        let led = before.is_some_and(|plan| plan.weight(id) > Weight::NONE);
        if led { service.ready(id).min(*new) } else { 0 }
    };
    let short = |side: usize| {
        let (_, old, new) = sides[side];
        let have = new + carried(&sides[1 - side]);
        (new < old && have < fleet.least()).then(|| Note::TooFew { have, least: fleet.least() })
    };
    if service.removing { None } else { short(0).or_else(|| short(1)) }
}

/// Users are led nowhere only where all of stable has to go first.
pub(super) fn led_nowhere(plan: &Plan, service: &Service) -> Option<Note> {
    let led = |plan: &Plan| plan.revisions.values().any(|r| r.weight > Weight::NONE);
    let was_led = service.plan.as_deref().is_some_and(led);
    let stays = service.stable.as_ref().is_some_and(|id| plan.revisions.contains_key(id));
    let rollout = service.rollout.as_ref().filter(|r| r.places.is_some());
    let fleet = rollout.and_then(|r| Fleet::of(r.schedule.capacity, service.spec.replicas));
    let allowed = fleet.is_some_and(|fleet| fleet.may_be_down()) || service.removing;
    (was_led && stays && !led(plan) && !allowed).then_some(Note::NobodyServes)
}
