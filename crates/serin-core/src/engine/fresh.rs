//! The fresh baseline: instances of stable as young as the candidate's and as many.

use crate::{FreshBaseline, Millis, Phase, Rollout, Service, Timestamp, Weight};

/// What the rollout wants of it now. It leaves when the candidate gets all traffic.
pub(crate) fn wanted(service: &Service, rollout: &Rollout) -> Option<FreshBaseline> {
    let stepping = matches!(rollout.phase, Phase::Stepping);
    // Instances for all traffic are not compared any more.
    let sized = if rollout.size_for < Weight::ALL { rollout.size_for } else { rollout.weight };
    if !rollout.wants_fresh() || !stepping || sized == Weight::NONE || rollout.weight == Weight::ALL
    {
        return None;
    }
    let replicas = service.candidate_size(sized, true);
    Some(FreshBaseline { replicas, weight: share(rollout.weight) })
}

/// As much as the candidate gets, and never more than stable keeps.
fn share(candidate: Weight) -> Weight {
    let parts = candidate.parts().min(candidate.rest().parts() / 2);
    Weight::try_from(u64::from(parts)).unwrap_or(Weight::NONE)
}

/// Whether `goal` has to wait for it.
pub(crate) fn is_missing(service: &Service, r: &Rollout, goal: Weight, now: Timestamp) -> bool {
    let Some(wanted) = wanted(service, r).filter(|_| goal < Weight::ALL) else { return false };
    service.observed.fresh.as_ref().is_none_or(|seen| seen.ready < wanted.replicas)
        || warm_left(service, r, now) > Millis(0)
}

/// How long its instances are not yet warm.
pub(crate) fn warm_left(service: &Service, rollout: &Rollout, now: Timestamp) -> Millis {
    let ready_at = service.observed.fresh.as_ref().and_then(|seen| seen.youngest_ready_at);
    let warm = ready_at.map_or(Millis(0), |at| now.since(at));
    Millis(rollout.schedule.warm_up.0.saturating_sub(warm.0))
}
