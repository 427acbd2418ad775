//! The world the state wants: a function of the service and nothing else.

use super::{experiment, fresh, routes};
use crate::{
    Affinity, Clients, Generation, Measure, Millis, Phase, Plan, RevisionId, RevisionPlan, Role,
    Rollout, Service, Weight,
};
use serin_stats::threshold::Check;
use std::collections::BTreeMap;

/// The plan `service` wants, as `generation`.
pub(super) fn plan(service: &Service, generation: Generation) -> Plan {
    let routes = routes::wanted(service);
    let revisions = if service.removing { BTreeMap::new() } else { revisions(service) };
    // Where stable is stopped first, nobody is behind the preview for a while.
    let there = |to: &RevisionId| revisions.get(to).is_some_and(|r| r.replicas > 0);
    Plan {
        service: service.name.clone(),
        generation,
        listen: service.spec.traffic.listen,
        drain: service.spec.traffic.drain,
        override_header: service.spec.traffic.override_header.clone(),
        rules: routes.rules,
        only: routes.only,
        mirror: routes.mirror,
        preview: routes.preview.filter(|preview| there(&preview.to)),
        goal: service.rollout.as_ref().and_then(experiment::goal),
        request_timeout: service.spec.traffic.request_timeout,
        warm_up: service.spec.schedule.warm_up,
        affinity: service.rollout.as_ref().and_then(|r| affinity(service, r)),
        carries: service.spec.traffic.flags.clone(),
        flag: service.spec.flag.clone(),
        clients: clients(service, &revisions),
        measures: service.rollout.as_ref().map(measures).unwrap_or_default(),
        revisions,
    }
}

/// What checks need to know of the instances, as long as the candidate is on trial.
fn measures(rollout: &Rollout) -> BTreeMap<String, Measure> {
    let checks = rollout.schedule.analysis.iter().flat_map(|analysis| &analysis.checks);
    let wanted = checks.filter(|check| rollout.is_on_trial() && check.signal.is_measured());
    let measure =
        |check: &Check| Measure { signal: check.signal.clone(), window: Millis(check.window_ms) };
    wanted.map(|check| (check.name.clone(), measure(check))).collect()
}

/// Who serves which clients, while requests can go to more than one revision. Variants serve what
/// the candidate does.
fn clients(
    service: &Service,
    revisions: &BTreeMap<RevisionId, RevisionPlan>,
) -> BTreeMap<RevisionId, Clients> {
    let open = revisions.iter().filter(|(_, r)| r.role != Role::Kept);
    let candidate = service.rollout.as_ref().map(|r| &r.candidate);
    let of = |(id, plan): (&RevisionId, &RevisionPlan)| {
        let known = if plan.role == Role::Variant { candidate? } else { id };
        Some((id.clone(), service.revisions.get(known)?.clients.clone()?))
    };
    if open.clone().count() > 1 { open.filter_map(of).collect() } else { BTreeMap::new() }
}

/// Users are kept with their arm only while there are two arms to tell apart, and dealt anew for
/// each rollout.
fn affinity(service: &Service, rollout: &Rollout) -> Option<Affinity> {
    let asked = rollout.affinity.as_ref()?;
    let on_trial = rollout.kind.is_tried() && rollout.is_on_trial();
    on_trial.then(|| Affinity {
        key: asked.key.clone(),
        window: asked.window,
        salt: format!("{}/{}", service.name, rollout.id),
    })
}

fn revisions(service: &Service) -> BTreeMap<RevisionId, RevisionPlan> {
    let candidate = service.rollout.as_ref().and_then(|r| candidate(service, r));
    let variants = service.rollout.as_ref().map(experiment::wanted).unwrap_or_default();
    let others = candidate.iter().chain(&variants).map(|(_, r)| u64::from(r.weight.parts()));
    let taken = Weight::try_from(others.sum::<u64>().min(100_000)).unwrap_or(Weight::ALL);
    let stable = service.stable.as_ref().and_then(|id| {
        let fresh = service.rollout.as_ref().and_then(|r| fresh::wanted(service, r));
        let shared = fresh.as_ref().map_or(0, |f| f.weight.parts());
        let rest = taken.rest().parts().saturating_sub(shared);
        let weight = Weight::try_from(u64::from(rest)).ok()?;
        let replicas = stable_size(service, id);
        // Nobody is there: users get no answer, and it is said so.
        let weight = if replicas == 0 { Weight::NONE } else { weight };
        let entry = entry(service, id, Role::Stable, replicas, weight)?;
        Some((id.clone(), RevisionPlan { fresh, ..entry }))
    });
    let kept = kept(service).filter(|(id, _)| {
        let used = stable.iter().chain(&candidate);
        used.into_iter().all(|(other, _)| other != id)
    });
    kept.into_iter().chain(stable).chain(candidate).chain(variants).collect()
}

/// Instances of the trusted revision: all of them, unless the candidate has taken places.
fn stable_size(service: &Service, id: &RevisionId) -> u32 {
    let rollout = service.rollout.as_ref().filter(|r| r.baseline.as_ref() == Some(id));
    let places = rollout.and_then(|r| r.places.as_ref());
    places.map_or(service.spec.replicas, |places| places.stable)
}

/// A revision whose instances stay without traffic.
fn kept(service: &Service) -> Option<(RevisionId, RevisionPlan)> {
    let kept = service.kept.as_ref()?;
    let entry = entry(service, &kept.revision, Role::Kept, kept.replicas, Weight::NONE)?;
    Some((kept.revision.clone(), entry))
}

fn candidate(service: &Service, rollout: &Rollout) -> Option<(RevisionId, RevisionPlan)> {
    let places = rollout.places.as_ref().map(|places| places.candidate);
    let giving_back = matches!(rollout.phase, Phase::Reverting { .. }) && places > Some(0);
    if !(rollout.is_on_trial() || giving_back)
        || service.stable.as_ref() == Some(&rollout.candidate)
        || (!giving_back && service.misfit(&rollout.candidate).is_some())
    {
        return None;
    }
    let id = &rollout.candidate;
    let size = places.unwrap_or_else(|| service.wanted_size(rollout));
    Some((id.clone(), entry(service, id, Role::Candidate, size, rollout.weight)?))
}

fn entry(
    service: &Service,
    id: &RevisionId,
    role: Role,
    replicas: u32,
    weight: Weight,
) -> Option<RevisionPlan> {
    let run = service.revisions.get(id)?.run.clone();
    let colour = service.revisions.get(id)?.colour;
    Some(RevisionPlan { role, replicas, weight, run, fresh: None, colour })
}
