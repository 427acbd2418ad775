//! The world the state wants: a function of the service and nothing else.

use crate::{Generation, Phase, Plan, RevisionId, RevisionPlan, Role, Rollout, Service, Weight};
use std::collections::BTreeMap;

/// The plan `service` wants, as `generation`.
pub(super) fn plan(service: &Service, generation: Generation) -> Plan {
    Plan {
        service: service.name.clone(),
        generation,
        listen: service.spec.traffic.listen,
        request_timeout: service.spec.traffic.request_timeout,
        warm_up: service.spec.schedule.warm_up,
        affinity: None,
        revisions: if service.removing { BTreeMap::new() } else { revisions(service) },
    }
}

fn revisions(service: &Service) -> BTreeMap<RevisionId, RevisionPlan> {
    let candidate = service.rollout.as_ref().and_then(|r| candidate(service, r));
    let taken = candidate.as_ref().map_or(Weight::NONE, |(_, r)| r.weight);
    let stable = service.stable.as_ref().and_then(|id| {
        let replicas = service.spec.replicas;
        Some((id.clone(), entry(service, id, Role::Stable, replicas, taken.rest())?))
    });
    stable.into_iter().chain(candidate).collect()
}

fn candidate(service: &Service, rollout: &Rollout) -> Option<(RevisionId, RevisionPlan)> {
    let on_trial = matches!(rollout.phase, Phase::Stepping | Phase::Warm { .. });
    if !on_trial || service.stable.as_ref() == Some(&rollout.candidate) {
        return None;
    }
    let id = &rollout.candidate;
    let size = service.candidate_size(rollout.size_for, rollout.is_analysed());
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
    Some(RevisionPlan { role, replicas, weight, run, fresh: None })
}
