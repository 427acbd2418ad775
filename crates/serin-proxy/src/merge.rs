//! Puts the workers' counters together.

use crate::hist::merge_sparse;
use crate::wire::{
    ArmCounters, Counters, Dropped, InstanceLoad, Judged, MAX_INSTANCES, ServiceCounters, Totals,
};
use std::collections::BTreeMap;

/// Adds one worker's counters to those of others.
pub fn merge(into: &mut Counters, from: Counters) {
    into.now_ms = into.now_ms.max(from.now_ms);
    into.closed_through_s = into.closed_through_s.min(from.closed_through_s);
    for service in from.services {
        put(&mut into.services, service);
    }
    for load in from.instances {
        merge_load(&mut into.instances, load);
    }
    for dropped in from.dropped {
        match into.dropped.iter_mut().find(|held| held.service == dropped.service) {
            Some(held) => merge_dropped(held, &dropped),
            None => into.dropped.push(dropped),
        }
    }
}

/// A service is closed as far as it is in all its generations and workers: a worker that does not
/// know the newest generation yet may hold requests of the one before.
pub fn level(counters: &mut Counters) {
    let mut closed: BTreeMap<String, u64> = BTreeMap::new();
    for one in &counters.services {
        let held = closed.entry(one.service.clone()).or_insert(u64::MAX);
        *held = one.closed_through_s.min(*held);
    }
    for one in &mut counters.services {
        one.closed_through_s = closed[&one.service];
    }
}

/// Adds the counters of a service in a generation to those that are there.
pub fn put(into: &mut Vec<ServiceCounters>, from: ServiceCounters) {
    let same =
        |s: &&mut ServiceCounters| s.service == from.service && s.generation == from.generation;
    let Some(held) = into.iter_mut().find(same) else {
        into.push(from);
        into.sort_by(|a, b| (&a.service, a.generation).cmp(&(&b.service, b.generation)));
        return;
    };
    held.closed_through_s = held.closed_through_s.min(from.closed_through_s);
    for arm in from.arms {
        match held
            .arms
            .iter_mut()
            .find(|held| (&held.revision, held.role) == (&arm.revision, arm.role))
        {
            Some(held) => merge_arm(held, &arm),
            None => held.arms.push(arm),
        }
    }
}

fn merge_arm(into: &mut ArmCounters, from: &ArmCounters) {
    into.assigned += from.assigned;
    into.first_assigned_ms = match (into.first_assigned_ms, from.first_assigned_ms) {
        (0, first) | (first, 0) => first,
        (a, b) => a.min(b),
    };
    into.last_assigned_ms = into.last_assigned_ms.max(from.last_assigned_ms);
    into.led += from.led;
    into.copies.sent += from.copies.sent;
    into.copies.dropped += from.copies.dropped;
    into.copies.too_large += from.copies.too_large;
    merge_instances(&mut into.instances, &from.instances);
    merge_judged(&mut into.judged, &from.judged);
    merge_totals(&mut into.totals, &from.totals);
}

fn merge_instances(into: &mut Vec<(String, u64, u64)>, from: &[(String, u64, u64)]) {
    for (name, n, errors) in from {
        match into.iter().position(|held| held.0 == *name) {
            Some(at) => (into[at].1, into[at].2) = (into[at].1 + n, into[at].2 + errors),
            None if into.len() < MAX_INSTANCES => into.push((name.clone(), *n, *errors)),
            None => {}
        }
    }
}

fn merge_judged(into: &mut Judged, from: &Judged) {
    into.n += from.n;
    into.errors += from.errors;
    into.unfinished += from.unfinished;
    into.aborted += from.aborted;
    into.goals += from.goals;
    into.sessions |= from.sessions;
    merge_sparse(&mut into.latency, &from.latency);
}

fn merge_totals(into: &mut Totals, from: &Totals) {
    into.requests += from.requests;
    into.responses_5xx += from.responses_5xx;
    into.timeouts += from.timeouts;
    into.connect_failures += from.connect_failures;
    into.resets += from.resets;
    into.client_aborts += from.client_aborts;
    into.retries += from.retries;
    into.fallback += from.fallback;
    into.upgrades += from.upgrades;
    merge_sparse(&mut into.latency, &from.latency);
}

fn merge_load(into: &mut Vec<InstanceLoad>, from: InstanceLoad) {
    let same = |l: &&mut InstanceLoad| l.service == from.service && l.instance == from.instance;
    match into.iter_mut().find(same) {
        Some(held) => {
            held.in_flight += from.in_flight;
            held.upgraded += from.upgraded;
        }
        None => into.push(from),
    }
}

/// Adds what was dropped elsewhere of the same service.
pub fn merge_dropped(into: &mut Dropped, from: &Dropped) {
    into.no_ready += from.no_ready;
    into.failed += from.failed;
    into.timeout += from.timeout;
    into.truncated += from.truncated;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Generation;

    fn counters(services: &[(&str, u64, u64)]) -> Counters {
        let one = |(service, n, closed_through_s): &(&str, u64, u64)| ServiceCounters {
            service: (*service).into(),
            generation: Generation { epoch: 1, n: *n },
            closed_through_s: *closed_through_s,
            arms: vec![],
            crossed: 0,
        };
        let services = services.iter().map(one).collect();
        Counters { services, ..Counters::default() }
    }

    /// The second worker holds a request of shop's generation 1 and knows no generation 2.
    #[test]
    fn a_service_is_closed_as_far_as_all_workers_and_generations_are() {
        let mut all = counters(&[("a", 1, 90), ("shop", 1, 99), ("shop", 2, 99)]);
        merge(&mut all, counters(&[("shop", 1, 95)]));
        level(&mut all);
        let closed: Vec<u64> = all.services.iter().map(|one| one.closed_through_s).collect();
        assert_eq!(closed, [90, 95, 95]);
    }
}
