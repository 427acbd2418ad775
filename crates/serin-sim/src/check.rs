//! What must hold in every state, and at the end.

use crate::draw::Truth;
use crate::machine::Machine;
use serin_core::{
    Ask, Event, Millis, Outcome, Plan, RevisionId, RevisionPlan, RevisionStanding, RolloutKind,
    RolloutRecord, Service, ServiceName, Step, Timestamp, Weight, judge_again, lint, step,
};
use serin_store::Store;

/// Rules every plan obeys that is handed out.
pub fn plan(plan: &Plan, service: &Service) -> Vec<String> {
    let fresh = |r: &RevisionPlan| r.fresh.as_ref().map_or(0, |fresh| fresh.weight.parts());
    let arms = plan.revisions.values();
    let sum: u64 = arms.map(|r| u64::from(r.weight.parts() + fresh(r))).sum();
    let mut wrong = Vec::new();
    if sum != 0 && sum != 100_000 {
        wrong.push(format!("weights of {} sum to {sum}", plan.generation));
    }
    if plan.revisions.values().any(|r| r.weight > Weight::NONE && r.replicas == 0) {
        wrong.push(format!("weight without instances in {}", plan.generation));
    }
    if let Some(stable) = service.stable.as_ref().filter(|_| !service.removing) {
        let replicas = plan.revisions.get(stable).map_or(0, |r| r.replicas);
        if replicas < service.spec.replicas {
            wrong.push(format!("stable {stable} has {replicas} instances in {}", plan.generation));
        }
    }
    wrong
}

/// Rules the record of an ended rollout obeys.
pub fn record(record: &RolloutRecord, truth: Truth, judged: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let by_evidence = judged && record.kind == RolloutKind::Release && record.skipped.is_empty();
    if record.outcome == Outcome::Promoted && by_evidence && truth.is_harmful_under_traffic() {
        wrong.push(format!("{} is {truth:?} and was promoted by evidence", record.to));
    }
    if record.outcome != Outcome::Promoted && record.cause.is_none() {
        wrong.push(format!("{} ended as {:?} without a cause", record.to, record.outcome));
    }
    wrong
}

/// Evidence against a revision is never ignored, and an unsound comparison never promotes.
pub fn verdict_followed(record: &RolloutRecord) -> Option<String> {
    let said = record.assessment.as_ref().map(|a| a.outcome);
    let against = said == Some(serin_stats::Outcome::Fail);
    let promoted = record.outcome == Outcome::Promoted;
    if promoted && against {
        return Some(format!("{} was promoted after evidence against it", record.to));
    }
    let invalid = record.assessment.as_ref().and_then(|a| a.invalid.as_ref());
    let unsound = invalid.filter(|i| promoted && i.guard != serin_stats::Guard::Counts)?;
    Some(format!("{} was promoted although {unsound}", record.to))
}

/// Whether the kept ticks of each rollout lead to the verdict on its record.
pub fn judged_again(store: &Store, name: &ServiceName) -> Vec<String> {
    let Ok(records) = store.records(name, 20) else { return vec!["no records".into()] };
    records.iter().filter_map(|record| verdict_differs(store, name, record)).collect()
}

fn verdict_differs(store: &Store, name: &ServiceName, record: &RolloutRecord) -> Option<String> {
    let (said, rung) = (record.assessment.as_ref()?, record.assessed_at?);
    let Ok(ticks) = store.ticks(name, record.id, 0, u32::MAX) else {
        return Some(format!("the ticks of rollout {} cannot be read", record.id));
    };
    let again = judge_again(ticks.iter().map(|(_, tick)| tick)).map(|judge| judge.assess(rung));
    let same = again.as_ref() == Some(said);
    (!same).then(|| format!("rollout {} judged again: {again:?}, recorded {said:?}", record.id))
}

/// No step drawn takes longer without a fault: a bake has at most 300 s, instances 90 s.
const STEP_MOST: Millis = Millis::secs(330);

/// Rules a service obeys when faults have ended long ago.
pub fn settled(
    now: Timestamp,
    service: &Service,
    machine: &Machine,
    truth: &impl Fn(&RevisionId) -> Truth,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let held = machine.plan.as_ref().map(|plan| plan.generation);
    if service.plan.as_ref().map(|plan| plan.generation) != held {
        wrong.push(format!("the machine holds {held:?}, {} is owed", service.generation));
    }
    if let Some(plan) = &service.plan {
        wrong.extend(lint(plan, service).iter().map(|note| format!("settled plan: {note}")));
    }
    if let Some(rollout) = &service.rollout {
        let waits_for_person = rollout.paused.is_some()
            || matches!(rollout.schedule.step(rollout.step.index), Some(Step::Pause(None)));
        let first_fails = rollout.kind == RolloutKind::First;
        // A long schedule may take longer than the peace; a single step may not.
        let stuck = now.since(rollout.step.entered_at) > STEP_MOST;
        if stuck
            && !waits_for_person
            && !first_fails
            && !matches!(truth(&rollout.candidate), Truth::Crashes(_))
        {
            let waits = serin_core::waiting_on(service, now);
            wrong.push(format!(
                "rollout {} still runs: {:?}, step {}, waiting on {waits}",
                rollout.id,
                rollout.phase,
                rollout.step.index + 1
            ));
        }
    } else if let Some(stable) = &service.stable
        && machine.weight(stable) != Weight::ALL
    {
        wrong.push(format!("stable {stable} has {}", machine.weight(stable)));
    }
    wrong
}

/// A revision that was judged bad has no traffic in the end.
pub fn no_bad_traffic(service: &Service, machine: &Machine) -> Option<String> {
    let bad = service.revisions.iter().find(|(id, revision)| {
        revision.standing == RevisionStanding::Bad && machine.weight(id) > Weight::NONE
    });
    bad.map(|(id, _)| format!("{id} was rolled back and has traffic in the end"))
}

/// Whether the log alone leads to the state the executor holds.
pub fn replay(store: &Store, name: &ServiceName, now: &Service) -> Vec<String> {
    let Ok(events) = store.events(name) else { return vec!["the log cannot be read".into()] };
    let mut replayed: Option<Service> = None;
    for (i, logged) in events.iter().enumerate() {
        let before = replayed.take().filter(|service| !service.is_gone());
        let Some(before) = before.or_else(|| born(&events[i..])) else {
            return vec![format!("the log of {name} has an event before its first deploy")];
        };
        replayed = Some(step(&before, &logged.event, logged.at).next);
    }
    match replayed {
        Some(replayed) if replayed == *now => vec![],
        _ => vec![format!("replaying the log of {name} leads to another state")],
    }
}

/// The blank service that the next deploy in the log is about.
fn born(events: &[serin_store::LoggedEvent]) -> Option<Service> {
    events.iter().find_map(|logged| match &logged.event {
        Event::Asked { ask: Ask::Deploy(ask), .. } => Some(Service::new(ask.spec.clone())),
        _ => None,
    })
}

/// A moment in words.
pub fn at(now: Timestamp) -> String {
    format!("{} s", now.0 / 1000)
}
