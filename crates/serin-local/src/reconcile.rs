//! What has to be done next for a plan. Pure: the same knowledge gives the same actions, and an
//! action that was noted in the fleet is not asked for again.

use crate::crew::{Crew, Wanted, crews};
use crate::facts::backoff;
use crate::label::{Label, instance_name};
use crate::published::reading_at;
use crate::route::{route, same_way, wire_generation};
use crate::world::{Fleet, Instance, InstanceId, Phase, Probing, Routed, WITHDRAWN, Why};
use serin_core::{ExitCause, Millis, Plan, Probe, Timestamp};
use serin_proxy::wire;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// An instance that is not ready after this has a story to tell; whether that is too long is for
/// the engine to say.
const TELL_AFTER: Millis = Millis::secs(10);
/// A dead instance is stopped after this even if the data plane cannot say that it let go of it.
const DEAD_WAIT: Millis = Millis::secs(5);
/// Adopted instances that have given no answer after this hold nothing up any more.
const PROOF_DEADLINE: Millis = Millis::secs(3);
/// Liveness of an instance that never became ready is tried from then on.
const SLOW_START: Millis = Millis::secs(60);
/// A stop that has shown no effect this long after its grace period is ordered again.
const STOP_AGAIN: Millis = Millis::secs(5);
/// Ended instances that are remembered for each service, for their logs.
const HISTORY: usize = 10;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Give the data plane this table.
    Route(Box<wire::Route>),
    /// Start an instance.
    Start {
        /// Its name.
        instance: InstanceId,
        /// What it runs, and whose place it fills.
        crew: Crew,
        /// The place.
        slot: u32,
    },
    /// It is out of the table from order `left` on: let it finish what it has.
    Drain {
        /// Which one.
        instance: InstanceId,
        /// Why it has to go.
        why: Why,
        /// The first order without it.
        left: wire::Order,
    },
    /// It drains and is wanted again: back to work.
    Recall {
        /// Which one.
        instance: InstanceId,
    },
    /// SIGTERM, and SIGKILL after the grace period.
    Stop {
        /// Which one.
        instance: InstanceId,
        /// Time between the signals.
        grace: Millis,
    },
    /// Read the end of its log and tell why it did not come up, or was lost.
    Explain {
        /// Which one.
        instance: InstanceId,
        /// How it ended, or that it has not.
        cause: ExitCause,
    },
    /// Try one of its probes.
    Probe {
        /// Which one.
        instance: InstanceId,
        /// Which probe.
        probing: Probing,
    },
    /// Read the numbers it publishes.
    Read {
        /// Which one.
        instance: InstanceId,
    },
    /// Nobody needs the memory of this ended process any more.
    Forget {
        /// Which one.
        instance: InstanceId,
    },
}

/// The next actions, the table first: nothing is drained before it has left the table, and traffic
/// moves before anything else happens.
pub fn reconcile(plan: &Plan, fleet: &Fleet, now: Timestamp) -> Vec<Action> {
    if !fleet.listed {
        return Vec::new();
    }
    let mut actions = Vec::new();
    let mut leaving = Vec::new();
    let may_steer = fleet.table.known || fleet.table.worker;
    if may_steer && !superseded(plan, fleet) && !holding(plan, fleet, now) {
        leaving = leavers(plan, fleet);
        let recalled = recalls(plan, fleet, &leaving);
        actions.extend(steer(plan, fleet, &leaving, &recalled));
    }
    actions.extend(starts(plan, fleet, &leaving, &actions, now));
    for (id, instance) in &fleet.instances {
        let wanted = instance.crew.wanted(plan);
        actions.extend(stop(fleet, id, instance, now));
        actions.extend(explain(id, instance, now));
        actions.extend(wanted.into_iter().flat_map(|w| probes(id, instance, w, now)));
        let due = wanted.and_then(|w| reading_at(instance, w)).is_some_and(|at| at <= now);
        actions.extend(due.then(|| Action::Read { instance: id.clone() }));
    }
    actions.extend(forgets(fleet));
    actions
}

/// Whether the data plane serves a newer plan: then ours is not for it, and it would say so again
/// and again.
fn superseded(plan: &Plan, fleet: &Fleet) -> bool {
    let generation = wire_generation(plan.generation);
    let out = fleet.table.withdrawn || fleet.table.worker;
    !out && fleet.table.acked.is_some_and(|acked| acked.generation > generation)
}

/// Whether enough is known of a service to tell of it. What was taken over has to be probed first,
/// and the data plane to hold our table: before that, instances that serve would be told as not
/// ready, and a rollout that is well would be taken back because we were restarted.
pub fn is_telling(plan: &Plan, fleet: &Fleet, now: Timestamp) -> bool {
    let table = &fleet.table;
    let held = table.sent.as_ref().is_some_and(|sent| table.holds(sent.order()));
    let out = table.withdrawn || table.worker;
    let answered = held || out || table.trouble.is_some() || superseded(plan, fleet);
    let unknown = fleet.instances.values().any(|i| is_unproven(i, now));
    fleet.listed && !unknown && (answered || !table.reachable)
}

/// Whether an instance was taken over so lately that its probes may not have answered.
fn is_unproven(instance: &Instance, now: Timestamp) -> bool {
    let until = instance.unproven_since().map(|since| since.plus(PROOF_DEADLINE));
    instance.holds_slot() && until.is_some_and(|until| now < until)
}

/// Whether the table has to stay as it is: instances were taken over, nobody knows yet which of
/// them are ready, and the data plane serves them by the table of our predecessor. A plan that is
/// newer than the one taken over does not wait.
fn holding(plan: &Plan, fleet: &Fleet, now: Timestamp) -> bool {
    let inherited = fleet.table.first_plan.is_none_or(|first| plan.generation <= first);
    let out = fleet.table.withdrawn || fleet.table.worker;
    let serves = fleet.table.acked.is_some() && !out;
    inherited && serves && fleet.instances.values().any(|i| is_unproven(i, now))
}

/// Instances that have to go: dead ones, those of crews out of the plan, and those beyond a crew's
/// number.
fn leavers(plan: &Plan, fleet: &Fleet) -> Vec<(InstanceId, Why)> {
    let holders = fleet.instances.iter().filter(|(_, i)| i.holds_slot());
    let mut leaving: Vec<(InstanceId, Why)> = holders
        .filter_map(|(id, i)| {
            let unplanned = i.crew.wanted(plan).is_none();
            let why = if i.dead { Some(Why::Dead) } else { unplanned.then_some(Why::Surplus) };
            Some((id.clone(), why?))
        })
        .collect();
    for (crew, wanted) in crews(plan) {
        leaving.extend(surplus(fleet, &crew, wanted.replicas).map(|id| (id, Why::Surplus)));
    }
    leaving
}

/// Those that are not ready go first, then those in slots beyond the number, then the highest slot.
fn surplus<'a>(
    fleet: &'a Fleet,
    crew: &Crew,
    replicas: u32,
) -> impl Iterator<Item = InstanceId> + use<'a> {
    let mut living: Vec<_> = fleet.holders(crew).filter(|(_, i)| !i.dead).collect();
    living.sort_by_key(|(_, i)| (i.is_ready(), i.slot < replicas, Reverse(i.slot)));
    let excess = living.len().saturating_sub(replicas as usize);
    living.into_iter().take(excess).map(|(id, _)| id.clone())
}

/// Draining instances that are wanted again and were well when they left: the way back is short.
fn recalls(plan: &Plan, fleet: &Fleet, leaving: &[(InstanceId, Why)]) -> Vec<InstanceId> {
    let of = |(crew, wanted): (Crew, Wanted<'_>)| {
        let missing = (wanted.replicas as usize).saturating_sub(staying(fleet, &crew, leaving));
        let well = |i: &&Instance| {
            matches!(i.phase, Phase::Draining { why: Why::Surplus, ready_since: Some(_), .. })
        };
        let mut able: Vec<_> =
            fleet.instances.iter().filter(|(_, i)| i.crew == crew && well(i)).collect();
        able.sort_by_key(|(_, i)| i.slot);
        able.into_iter().take(missing).map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    crews(plan).flat_map(of).collect()
}

fn staying(fleet: &Fleet, crew: &Crew, leaving: &[(InstanceId, Why)]) -> usize {
    fleet.holders(crew).filter(|(id, _)| !leaving.iter().any(|(gone, _)| gone == *id)).count()
}

/// The table without those who leave and with those who return, then their change of phase.
fn steer(
    plan: &Plan,
    fleet: &Fleet,
    leaving: &[(InstanceId, Why)],
    recalled: &[InstanceId],
) -> Vec<Action> {
    let mut after = Cow::Borrowed(fleet);
    for id in recalled {
        after.to_mut().recalled(id, Timestamp(0));
    }
    let without: BTreeSet<InstanceId> = leaving.iter().map(|(id, _)| id.clone()).collect();
    let table = route(plan, &after, &without);
    let mut actions = Vec::new();
    let left = if fleet.table.is_unrouted() {
        wire::Order::default()
    } else if fleet.table.withdrawn || fleet.table.worker {
        WITHDRAWN
    } else if in_force(fleet, &table) {
        fleet.table.sent.as_ref().map_or(table.order(), wire::Route::order)
    } else {
        let order = table.order();
        actions.push(Action::Route(Box::new(table)));
        order
    };
    actions.extend(recalled.iter().map(|id| Action::Recall { instance: id.clone() }));
    let drain =
        |(id, why): &(InstanceId, Why)| Action::Drain { instance: id.clone(), why: *why, left };
    actions.extend(leaving.iter().map(drain));
    actions
}

/// Whether the last order given says the same as `table` and is not older than what is held.
fn in_force(fleet: &Fleet, table: &wire::Route) -> bool {
    let last =
        |sent: &wire::Route| same_way(sent, table) && fleet.table.newest() == Some(sent.order());
    fleet.table.sent.as_ref().is_some_and(last)
}

/// New instances for empty slots whose backoff is over.
fn starts(
    plan: &Plan,
    fleet: &Fleet,
    leaving: &[(InstanceId, Why)],
    so_far: &[Action],
    now: Timestamp,
) -> Vec<Action> {
    let returning = |crew: &Crew| {
        let of = |a: &&Action| matches!(a, Action::Recall { instance } if fleet.instances[instance].crew == *crew);
        so_far.iter().filter(of).count()
    };
    let mut number = fleet.next_number;
    let mut actions = Vec::new();
    for (crew, wanted) in crews(plan) {
        let there = staying(fleet, &crew, leaving) + returning(&crew);
        let missing = (wanted.replicas as usize).saturating_sub(there);
        for slot in free_slots(fleet, &crew, wanted.replicas).take(missing) {
            if due(fleet, &crew, slot) > now {
                continue;
            }
            let instance = instance_name(&plan.service, &crew.revision, number);
            actions.push(Action::Start { instance, crew: crew.clone(), slot });
            number += 1;
        }
    }
    actions
}

/// Slots without an instance. One whose instance is about to leave is not free yet: its backoff
/// begins when it has left.
fn free_slots(fleet: &Fleet, crew: &Crew, replicas: u32) -> impl Iterator<Item = u32> + use<> {
    let taken: BTreeSet<u32> = fleet.holders(crew).map(|(_, i)| i.slot).collect();
    (0..replicas).filter(move |slot| !taken.contains(slot))
}

fn due(fleet: &Fleet, crew: &Crew, slot: u32) -> Timestamp {
    fleet.slots.get(&(crew.clone(), slot)).map_or(Timestamp(0), |slot| slot.not_before)
}

fn stop(fleet: &Fleet, id: &InstanceId, instance: &Instance, now: Timestamp) -> Option<Action> {
    let due = match &instance.phase {
        // The keeper answers a start before anything else can be said about the process.
        Phase::Draining { .. } => instance.pid.is_some() && drain_over(fleet, instance, now),
        Phase::Stopping { since } => now >= since.plus(instance.grace).plus(STOP_AGAIN),
        _ => false,
    };
    due.then(|| Action::Stop { instance: id.clone(), grace: instance.grace })
}

/// The data plane has acknowledged a table without it, and the instance holds nothing any more or
/// has had its time. A dead one has nothing to finish.
fn drain_over(fleet: &Fleet, instance: &Instance, now: Timestamp) -> bool {
    let Phase::Draining { since, left, why, acked, .. } = &instance.phase else { return false };
    if fleet.table.is_unrouted() {
        return true;
    }
    let counted = instance.load.counted_at.is_some_and(|order| order >= *left);
    match (why, acked) {
        (Why::Dead, acked) => acked.is_some() || now >= since.plus(DEAD_WAIT),
        (Why::Surplus, None) => false,
        (Why::Surplus, Some(acked)) => {
            (counted && instance.load.in_flight == 0) || now >= acked.plus(fleet.drain_deadline)
        }
    }
}

fn explain(id: &InstanceId, instance: &Instance, now: Timestamp) -> Option<Action> {
    if instance.reported {
        return None;
    }
    let cause = match &instance.phase {
        Phase::Exited { cause, .. } => cause.clone(),
        Phase::Draining { why: Why::Dead, .. } => ExitCause::NotLive,
        Phase::Starting { since } if instance.pid.is_some() && now >= since.plus(TELL_AFTER) => {
            ExitCause::NotReady
        }
        _ => return None,
    };
    Some(Action::Explain { instance: id.clone(), cause })
}

fn probes(id: &InstanceId, instance: &Instance, wanted: Wanted<'_>, now: Timestamp) -> Vec<Action> {
    let due = |(probing, at)| (at <= now).then(|| Action::Probe { instance: id.clone(), probing });
    probe_times(instance, wanted).into_iter().filter_map(due).collect()
}

/// When each of its probes is due; nothing for one that is being tried.
fn probe_times(instance: &Instance, wanted: Wanted<'_>) -> Vec<(Probing, Timestamp)> {
    if !instance.holds_slot() || instance.pid.is_none() || instance.dead {
        return Vec::new();
    }
    let first = |probe: &Probe| instance.started.plus(probe.initial_delay);
    let mut times = Vec::new();
    if !instance.readiness.trying {
        let at = instance.readiness.next_at.max(first(&wanted.run.readiness));
        times.push((Probing::Readiness, at));
    }
    if let Some(probe) = &wanted.run.liveness
        && !instance.liveness.trying
    {
        let slow = if instance.ever_ready { Millis(0) } else { SLOW_START };
        let at = instance.liveness.next_at.max(first(probe).plus(slow));
        times.push((Probing::Liveness, at));
    }
    times
}

fn forgets(fleet: &Fleet) -> Vec<Action> {
    let mut ended: Vec<(Timestamp, &InstanceId)> = fleet
        .instances
        .iter()
        .filter_map(|(id, i)| match i.phase {
            Phase::Exited { at, .. } if i.reported => Some((at, id)),
            _ => None,
        })
        .collect();
    ended.sort();
    let kept = if fleet.table.withdrawn { 0 } else { HISTORY };
    let excess = ended.len().saturating_sub(kept);
    ended[..excess].iter().map(|(_, id)| Action::Forget { instance: (*id).clone() }).collect()
}

// === noting what was done ===

impl Fleet {
    /// `action` is being carried out. A start is noted by [`Fleet::begun`], with its port.
    pub fn note(&mut self, action: &Action, now: Timestamp) {
        match action {
            Action::Route(route) => self.routed_by(route),
            Action::Start { .. } => {}
            Action::Drain { instance, why, left } => self.drained(instance, *why, *left, now),
            Action::Recall { instance } => self.recalled(instance, now),
            Action::Stop { instance, .. } => self.stopped(instance, now),
            Action::Explain { instance, .. } => {
                if let Some(instance) = self.instances.get_mut(instance) {
                    instance.reported = true;
                }
            }
            Action::Probe { instance, probing } => self.probing(instance, *probing),
            Action::Read { instance } => self.reading(instance),
            Action::Forget { instance } => {
                self.instances.remove(instance);
            }
        }
    }

    fn routed_by(&mut self, route: &wire::Route) {
        let backends = route.arms.iter().flat_map(|arm| &arm.backends);
        let inside: BTreeSet<&str> = backends.map(|b| b.instance.as_str()).collect();
        for (id, instance) in &mut self.instances {
            if inside.contains(id.as_str()) {
                instance.routed.get_or_insert(Routed { from: route.order(), acked: false });
            } else {
                instance.routed = None;
            }
        }
        self.table.sent = Some(route.clone());
    }

    fn stopped(&mut self, id: &str, now: Timestamp) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.phase = Phase::Stopping { since: now };
        }
    }

    /// A draining instance goes back to work; it is probed at once.
    pub(crate) fn recalled(&mut self, id: &str, now: Timestamp) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        if let Phase::Draining { ready_since: Some(since), .. } = instance.phase {
            instance.phase = Phase::Ready { since };
            instance.readiness.next_at = now;
        }
    }

    /// The label of the instance that the crew's `slot` gets next.
    pub fn next_label(
        &self,
        (crew, wanted): (&Crew, Wanted<'_>),
        slot: u32,
        port: u16,
        now: Timestamp,
    ) -> Label {
        let failures = self.slots.get(&(crew.clone(), slot)).map_or(0, |slot| slot.failures);
        Label {
            service: self.service.clone(),
            revision: crew.revision.clone(),
            role: wanted.role,
            baseline: crew.baseline,
            slot,
            port,
            artefact: None,
            started: now,
            failures,
            restarts: self.tally(crew).restarts,
            grace: wanted.run.grace,
            number: self.next_number,
        }
    }
}

// === when to look again ===

/// When time alone will ask for something: the earliest moment after `now`.
pub fn wake_at(plan: &Plan, fleet: &Fleet, now: Timestamp) -> Option<Timestamp> {
    let slots = fleet.slots.values().map(|slot| slot.not_before);
    let instances = fleet.instances.values().flat_map(|i| instance_times(plan, fleet, i));
    slots.chain(instances).filter(|at| *at > now).min()
}

fn instance_times(plan: &Plan, fleet: &Fleet, instance: &Instance) -> Vec<Timestamp> {
    let wanted = instance.crew.wanted(plan);
    let mut times: Vec<Timestamp> =
        wanted.into_iter().flat_map(|w| probe_times(instance, w)).map(|(_, at)| at).collect();
    times.extend(wanted.and_then(|w| reading_at(instance, w)));
    match &instance.phase {
        Phase::Starting { since } if !instance.reported => times.push(since.plus(TELL_AFTER)),
        Phase::Draining { since, why, acked, .. } => {
            times.extend(acked.map(|at| at.plus(fleet.drain_deadline)));
            times.extend((*why == Why::Dead).then(|| since.plus(DEAD_WAIT)));
        }
        Phase::Stopping { since } => times.push(since.plus(instance.grace).plus(STOP_AGAIN)),
        _ => {}
    }
    times.extend(instance.unproven_since().map(|since| since.plus(PROOF_DEADLINE)));
    times
}

/// Longest wait between two tries in one slot, for tests and documentation.
pub fn longest_backoff() -> Millis {
    backoff(u32::MAX)
}

#[cfg(test)]
mod tests;
