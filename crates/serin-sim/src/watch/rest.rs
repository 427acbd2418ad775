//! What must be so when nothing goes wrong any more.

use crate::machine::Machine;
use serin_core::{
    FlagEnd, Phase, RevisionStanding, Rollout, Service, Step, Timestamp, Weight, lint,
    migrations_wanted, waiting_on,
};

/// Why a service has not come to rest, if so.
pub(crate) fn restless(service: &Service, machine: &Machine, now: Timestamp) -> Option<String> {
    let held = machine.plan.as_ref().map(|plan| plan.generation);
    if service.plan.as_deref().map(|plan| plan.generation) != held {
        let (name, owed) = (&service.name, service.generation);
        return Some(format!("{name}: the machine holds {held:?}, {owed} is owed"));
    }
    if service.switched.iter().any(|one| one.back) {
        return Some(format!("{}: flags have not gone back", service.name));
    }
    if let Some(order) = migrations_wanted(service).first() {
        return Some(format!("{}: its database is owed {:?}", service.name, order.goal));
    }
    if let Some(boarded) = service.boarded.first().filter(|_| service.rollout.is_none()) {
        return Some(format!("{} waits for its train", boarded.deploy.revision.version));
    }
    let rollout = service
        .rollout
        .as_ref()
        .filter(|rollout| !waits_for_person(rollout) && !waits_for_contract(service, rollout))?;
    let (id, phase, step) = (rollout.id, &rollout.phase, rollout.step.index + 1);
    let (name, waits) = (&service.name, waiting_on(service, now));
    Some(format!("{name}: rollout {id} still runs: {phase:?}, step {step}, waiting on {waits}"))
}

/// Whether the schema before it has both shapes until a person says otherwise.
fn waits_for_contract(service: &Service, rollout: &Rollout) -> bool {
    let step = rollout.schedule.step(rollout.step.index);
    let open = service.schemas.open.as_ref();
    let by_hand = open.is_some_and(|open| open.by_hand && open.rollout != rollout.id);
    matches!(step, Some(Step::Migrate(_))) && by_hand
}

/// Whether only a person can go on.
fn waits_for_person(rollout: &Rollout) -> bool {
    let stepping = matches!(rollout.phase, Phase::Stepping);
    let step = rollout.schedule.step(rollout.step.index);
    let asks = match step {
        Some(Step::Pause(None)) => true,
        Some(Step::Approve(approval)) => approval.timeout.is_none(),
        // Somebody killed the flag: only a person brings it back.
        Some(Step::Flag(_)) => matches!(rollout.step.flag, Some(FlagEnd::Refused { .. })),
        _ => false,
    };
    rollout.paused.is_some() || (stepping && asks)
}

/// What is wrong with a service at rest.
pub(crate) fn settled(service: &Service, machine: &Machine) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(plan) = &service.plan {
        wrong.extend(lint(plan, service).iter().map(|note| format!("at rest: {note}")));
    }
    wrong.extend(bad_traffic(service, machine));
    if service.rollout.is_none() {
        wrong.extend(not_all_on_stable(service, machine));
    }
    wrong
}

fn not_all_on_stable(service: &Service, machine: &Machine) -> Option<String> {
    let stable = service.stable.as_ref().filter(|_| !service.removing)?;
    let weight = machine.weight(stable);
    (weight != Weight::ALL).then(|| format!("at rest stable {stable} has {weight}"))
}

/// A revision that was judged bad has no traffic in the end, unless people marked the stable one.
fn bad_traffic(service: &Service, machine: &Machine) -> Option<String> {
    let bad = service.revisions.iter().find(|(id, revision)| {
        let is_stable = service.stable.as_ref() == Some(id);
        revision.standing == RevisionStanding::Bad
            && machine.weight(id) > Weight::NONE
            && !is_stable
    });
    bad.map(|(id, _)| format!("{id} was rolled back and has traffic in the end"))
}
