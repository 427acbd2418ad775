//! The log explains the state.

use crate::log::SimLog;
use serin_core::{Ask, Event, RolloutRecord, Service, ServiceName, Shared, judge_again, step};
use serin_store::LoggedEvent;

/// Rollouts whose ticks a store keeps.
const WITH_TICKS: u32 = 20;

/// Whether the log alone leads to the state the executor holds.
pub fn replay(log: &SimLog, name: &ServiceName, now: &Service) -> Vec<String> {
    let Ok(events) = log.events(name) else { return vec!["the log cannot be read".into()] };
    let mut replayed: Option<Shared<Service>> = None;
    for (i, logged) in events.iter().enumerate() {
        let before = replayed.take().filter(|service| !service.is_gone());
        let Some(before) = before.or_else(|| born(&events[i..])) else {
            return vec![format!("the log of {name} has an event before its first deploy")];
        };
        replayed = Some(step(&before, &logged.event, logged.at).next);
    }
    match replayed {
        Some(replayed) if *replayed == *now => vec![],
        _ => vec![format!("replaying the log of {name} leads to another state")],
    }
}

/// The blank service that the next deploy in the log is about.
fn born(events: &[LoggedEvent]) -> Option<Shared<Service>> {
    events.iter().find_map(|logged| match &logged.event {
        Event::Asked { ask: Ask::Deploy(ask), .. } => Some(Service::new(ask.spec.clone()).into()),
        _ => None,
    })
}

/// Whether the kept ticks of each rollout lead to the verdict on its record.
pub fn judged_again(log: &SimLog, name: &ServiceName) -> Vec<String> {
    let Ok(records) = log.records(name, WITH_TICKS) else { return vec!["no records".into()] };
    records.iter().filter_map(|record| verdict_differs(log, name, record)).collect()
}

fn verdict_differs(log: &SimLog, name: &ServiceName, record: &RolloutRecord) -> Option<String> {
    let (said, rung) = (record.assessment.as_ref()?, record.assessed_at?);
    let Ok(ticks) = log.ticks(name, record.id) else {
        return Some(format!("the ticks of rollout {} cannot be read", record.id));
    };
    let again = judge_again(ticks.iter()).map(|judge| judge.assess(rung));
    let same = again.as_ref() == Some(said);
    (!same).then(|| format!("rollout {} judged again: {again:?}, recorded {said:?}", record.id))
}
