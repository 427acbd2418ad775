//! Rules every order obeys.

use super::brief::Brief;
use super::is_reverting;
use serin_core::{
    Capacity, Plan, RevisionId, RevisionPlan, Role, Rollout, RolloutKind, Service, Step, Timestamp,
    Weight, lint, moves_only_to_stable,
};

/// What is wrong with `plan`, after which the service looks like this.
pub(super) fn check(plan: &Plan, after: &Service, before: &Brief, now: Timestamp) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(sums(plan));
    wrong.extend(newer(plan, before));
    wrong.extend(only_allowed(plan, after));
    wrong.extend(stable_whole(plan, after));
    wrong.extend(ready_first(plan, after, before, now));
    wrong.extend(fresh_first(plan, after, before));
    if let Some(rollout) = &after.rollout {
        wrong.extend(as_far_as_the_steps(plan, rollout, before));
        wrong.extend(back_means_back(plan, rollout));
    }
    wrong.extend(linted(plan, after, before));
    let number = plan.generation;
    wrong.into_iter().map(|what| format!("plan {number}: {what}")).collect()
}

fn fresh(r: &RevisionPlan) -> u64 {
    r.fresh.as_ref().map_or(0, |fresh| u64::from(fresh.weight.parts()))
}

fn sums(plan: &Plan) -> Option<String> {
    let arms = plan.revisions.values();
    let sum: u64 = arms.map(|r| u64::from(r.weight.parts()) + fresh(r)).sum();
    let empty = plan.revisions.values().any(|r| r.weight > Weight::NONE && r.replicas == 0);
    if sum != 0 && sum != 100_000 {
        return Some(format!("weights sum to {sum}"));
    }
    empty.then(|| "weight without instances".to_owned())
}

fn newer(plan: &Plan, before: &Brief) -> Option<String> {
    let old = before.generation;
    (plan.generation <= old).then(|| format!("not newer than {old}"))
}

/// Stable, the candidate on trial, and what the rollout runs beside them.
fn only_allowed(plan: &Plan, service: &Service) -> Option<String> {
    let planned = |id: &RevisionId, r: &RevisionPlan| match r.role {
        Role::Stable => service.stable.as_ref() == Some(id),
        Role::Candidate => service.rollout.as_ref().is_some_and(|r| r.candidate == *id),
        _ => true,
    };
    let odd = plan.revisions.iter().find(|(id, r)| r.weight > Weight::NONE && !planned(id, r));
    odd.map(|(id, r)| format!("{id} has {} and no part in anything", r.weight))
}

/// Stable keeps its size as long as somebody may have to go back to it.
fn stable_whole(plan: &Plan, service: &Service) -> Option<String> {
    let stable = service.stable.as_ref().filter(|_| !service.removing)?;
    let beside = |r: &Rollout| r.schedule.capacity == Capacity::Beside;
    if !service.rollout.as_ref().is_none_or(beside) {
        return None;
    }
    let replicas = plan.revisions.get(stable).map_or(0, |r| r.replicas);
    let wanted = service.spec.replicas;
    (replicas < wanted).then(|| format!("stable {stable} has {replicas} of {wanted} instances"))
}

/// More traffic only for what is ready for it.
fn ready_first(plan: &Plan, service: &Service, before: &Brief, now: Timestamp) -> Vec<String> {
    let risen = plan.revisions.iter().filter(|(id, r)| {
        let is_stable = service.stable.as_ref() == Some(*id);
        r.weight > before.weight(id) && !is_stable
    });
    risen.filter_map(|(id, r)| unready(id, r.weight, service, now)).collect()
}

/// The fresh baseline is as large as it shall be before it is compared with.
fn fresh_first(plan: &Plan, service: &Service, before: &Brief) -> Option<String> {
    let fresh = plan.revisions.values().find_map(|r| r.fresh.as_ref())?;
    let had = before.fresh.as_ref().map_or(Weight::NONE, |(_, fresh)| fresh.weight);
    let ready = service.observed.fresh.as_ref().map_or(0, |seen| seen.ready);
    let wrong = fresh.weight > had && ready < fresh.replicas;
    let (weight, wanted) = (fresh.weight, fresh.replicas);
    wrong.then(|| format!("the fresh baseline gets {weight} with {ready} of {wanted} ready"))
}

fn unready(id: &RevisionId, weight: Weight, service: &Service, now: Timestamp) -> Option<String> {
    let seen = service.observed.revisions.get(id);
    let ready = seen.map_or(0, |seen| seen.ready);
    if ready == 0 {
        return Some(format!("{id} gets {weight} without a ready instance"));
    }
    let rollout = service.rollout.as_ref().filter(|r| r.candidate == *id)?;
    let sized_apart = rollout.schedule.steps().any(|(_, step)| matches!(step, Step::SetScale(_)));
    let beside = rollout.schedule.capacity == Capacity::Beside;
    if rollout.kind != RolloutKind::Release || sized_apart || !beside {
        return None;
    }
    let parts = u64::from(service.spec.replicas) * u64::from(weight.parts());
    let needed = parts.div_ceil(100_000) as u32;
    if ready < needed {
        return Some(format!("{id} gets {weight} with {ready} of {needed} instances ready"));
    }
    let ready_at = seen.and_then(|seen| seen.youngest_ready_at)?;
    let cold = now.since(ready_at) < rollout.schedule.warm_up;
    cold.then(|| format!("{id} gets {weight} before its instances are warm"))
}

/// The candidate never gets more than a step that was reached gives it.
fn as_far_as_the_steps(plan: &Plan, rollout: &Rollout, before: &Brief) -> Option<String> {
    let reached = rollout.schedule.steps().take(rollout.step.index + 1);
    let weights = reached.filter_map(|(_, step)| match step {
        Step::SetWeight(weight) => Some(*weight),
        Step::Expose(expose) => Some(expose.up_to),
        _ => None,
    });
    let most = weights.max().unwrap_or(Weight::NONE);
    let weight = plan.weight(&rollout.candidate);
    let is_candidate =
        plan.revisions.get(&rollout.candidate).is_some_and(|r| r.role == Role::Candidate);
    // The only place there is cannot be shared.
    let alone = plan.in_role(Role::Stable).is_none_or(|(_, r)| r.replicas == 0);
    // Where instances trade places the share is as near as whole instances come.
    let exact = !alone && rollout.schedule.capacity == Capacity::Beside;
    let risen = weight > before.weight(&rollout.candidate);
    let wrong = is_candidate && exact && risen && weight > most;
    wrong.then(|| format!("the candidate gets {weight}, its steps allow {most}"))
}

fn back_means_back(plan: &Plan, rollout: &Rollout) -> Option<String> {
    let weight = plan.weight(&rollout.candidate);
    // Where stable gave places away it goes back as fast as they come back.
    let shares = rollout.schedule.capacity != Capacity::Beside;
    let wrong = is_reverting(rollout) && weight > Weight::NONE && !shares;
    wrong.then(|| format!("on the way back {} has {weight}", rollout.candidate))
}

/// The engine's own rules, asked from outside.
fn linted(plan: &Plan, after: &Service, before: &Brief) -> Vec<String> {
    let mut last = plan.clone();
    last.generation = before.generation;
    last.revisions.retain(|id, _| before.planned.iter().any(|(of, _, _)| of == id));
    for (id, weight, replicas) in &before.planned {
        if let Some(r) = last.revisions.get_mut(id) {
            (r.weight, r.replicas) = (*weight, *replicas);
            r.fresh = before.fresh.clone().filter(|(of, _)| of == id).map(|(_, fresh)| fresh);
        }
    }
    if moves_only_to_stable(plan, Some(&last)) {
        return vec![];
    }
    let service = Service { plan: Some(last.into()), ..after.clone() };
    lint(plan, &service).iter().map(|note| format!("the lint says {note}")).collect()
}
