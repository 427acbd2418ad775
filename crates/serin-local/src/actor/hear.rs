//! Absorbing facts into the fleets they concern.

use super::carry::can_bind;
use super::{Actor, DRAIN_POLL, Fact};
use crate::facts::{Listed, ListedState, exit_cause};
use crate::keeper::{KeeperFact, Listing};
use crate::label::Label;
use crate::launch::Launched;
use crate::measure::Measured;
use crate::plane::PlaneFact;
use crate::world::{Fleet, Phase};
use serin_core::{ExitCause, Plan, ServiceName, Timestamp};
use serin_keeper::protocol::{JournalEntry, JournalEvent, ProcessInfo, ProcessState, Request};
use serin_proxy::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

impl Actor {
    pub(super) fn hear(&mut self, fact: Fact) {
        let now = self.clock.now();
        match fact {
            Fact::Keeper(KeeperFact::Up(listing)) => self.list(&listing, now),
            Fact::Keeper(KeeperFact::Entry(entry)) => self.entry(&entry, now),
            Fact::Keeper(KeeperFact::Down) => {
                self.keeper_away = Some(now);
                self.touch_all();
            }
            Fact::Plane(fact) => self.plane(fact, now),
            Fact::Launched(launched) => self.launched(launched, now),
            Fact::Probed { service, instance, probe, result } => self.with(&service, |fleet| {
                fleet.probed(&instance, (probe.0, &probe.1), result, now);
            }),
            Fact::Read { service, instance, period, result } => self.with(&service, |fleet| {
                fleet.read(&instance, period, result, now);
            }),
            Fact::Explained { service, instance, cause, log } => {
                self.with(&service, |fleet| fleet.explained(&instance, cause, log));
            }
            Fact::Measured(found) => self.measured(found),
            Fact::Loads { counters, orders } => self.loads(counters.as_deref(), &orders),
            Fact::Unbound { service, why } => {
                if let Some(served) = self.services.get_mut(&service) {
                    served.unbound = Some(why);
                    self.touched.insert(service);
                }
            }
        }
    }

    /// What was measured, of all services of which something was to be.
    fn measured(&mut self, found: Vec<(ServiceName, Measured)>) {
        let mut found: BTreeMap<_, _> = found.into_iter().collect();
        for (name, served) in &mut self.services {
            let measured = found.remove(name).unwrap_or_default();
            if served.measured != measured {
                served.measured = measured;
                self.touched.insert(name.clone());
            }
        }
    }

    fn with(&mut self, service: &ServiceName, change: impl FnOnce(&mut Fleet)) {
        if let Some(served) = self.services.get_mut(service) {
            change(&mut served.fleet);
            self.touched.insert(service.clone());
        }
    }

    fn touch_all(&mut self) {
        self.touched.extend(self.services.keys().cloned());
    }

    // === the keeper ===

    /// The list is the truth about every service, also about those it does not name.
    fn list(&mut self, listing: &Listing, now: Timestamp) {
        self.keeper_away = None;
        self.listed = true;
        let mut by_service: BTreeMap<ServiceName, Vec<Listed>> = BTreeMap::new();
        for process in listing.processes.iter().filter_map(|p| listed(p, &listing.asked)) {
            by_service.entry(process.label.service.clone()).or_default().push(process);
        }
        for name in by_service.keys() {
            self.served(name);
        }
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        for name in names {
            let list = by_service.remove(&name).unwrap_or_default();
            self.with(&name, |fleet| fleet.listed(&list, now));
            let plan = self.services[&name].plan.as_ref();
            for listen in plan.map(addresses).unwrap_or_default() {
                self.bind(&name, listen);
            }
        }
        let used = self.services.values().flat_map(|s| s.fleet.ports()).collect();
        self.ports.keep(&used, now);
    }

    fn entry(&mut self, entry: &JournalEntry, now: Timestamp) {
        let JournalEvent::Exited { code, signal, .. } = entry.event else { return };
        self.ended(&entry.instance, exit_cause(code, signal), now);
    }

    /// A process is gone: its port rests from now on.
    fn ended(&mut self, instance: &str, cause: ExitCause, now: Timestamp) {
        let owner = self.services.iter().find(|(_, s)| s.fleet.instances.contains_key(instance));
        let Some(name) = owner.map(|(name, _)| name.clone()) else { return };
        let port = self.services[&name].fleet.instances[instance].port;
        let taken = !can_bind(port);
        self.with(&name, |fleet| {
            if taken {
                fleet.ousted(instance, cause, now);
            } else {
                fleet.exited(instance, cause, now);
            }
        });
        self.ports.release(port, now);
    }

    fn launched(&mut self, launched: Launched, now: Timestamp) {
        let Launched { service, instance, outcome } = launched;
        match outcome {
            Ok(started) => self.with(&service, |fleet| {
                fleet.spawned(&instance, started.pid, started.artefact, now);
            }),
            Err(why) => self.ended(&instance, ExitCause::NotStarted(why), now),
        }
    }

    // === the data plane ===

    fn plane(&mut self, fact: PlaneFact, now: Timestamp) {
        match fact {
            PlaneFact::Met(held) => {
                self.plane_away = None;
                let held: BTreeMap<String, wire::Order> =
                    held.into_iter().map(|held| (held.service, held.order)).collect();
                for (name, served) in &mut self.services {
                    served.fleet.met(held.get(name.as_str()).copied(), now);
                }
                self.held = Some(held);
                self.withdraw_workers();
                self.touch_all();
            }
            PlaneFact::Down => {
                self.plane_away = Some(now);
                for served in self.services.values_mut() {
                    served.fleet.table.reachable = false;
                }
                self.touch_all();
            }
            PlaneFact::Applied { service, order, durable, error } => {
                self.with_named(&service, |fleet| fleet.applied(order, durable, error, now));
                if self.any_draining() {
                    self.next_poll = now;
                }
            }
            PlaneFact::Refused { service, have, why } => {
                self.with_named(&service, |fleet| fleet.refused(have, why));
            }
            PlaneFact::Withdrawn { service } => {
                self.with_named(&service, |fleet| fleet.withdrawn(now));
                self.unbind(&service);
            }
        }
    }

    /// What has no users any more is nobody's to be led to.
    pub(super) fn withdraw_workers(&self) {
        for (name, _) in self.services.iter().filter(|(_, s)| s.fleet.table.lingers()) {
            self.plane.order(name.as_str(), crate::plane::Wanted::Withdrawn);
        }
    }

    /// Nobody answers for a withdrawn service: whoever connects shall be told at once.
    fn unbind(&self, service: &str) {
        let of = |(name, s): (&ServiceName, &super::Served)| {
            let plan =
                s.plan.as_ref().filter(|_| s.fleet.table.withdrawn == (name.as_str() == service));
            let listen = plan.and_then(|plan| plan.listen);
            listen.map(|listen| (name.as_str() == service, listen))
        };
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.services.iter().filter_map(of).partition(|(gone, _)| *gone);
        for (_, addr) in &gone {
            if !kept.iter().any(|(_, other)| other == addr) {
                self.order(Request::Unbind { addr: addr.to_string() });
            }
        }
    }

    fn with_named(&mut self, service: &str, change: impl FnOnce(&mut Fleet)) {
        if let Ok(name) = service.parse() {
            self.with(&name, change);
        }
    }

    fn loads(
        &mut self,
        counters: Option<&wire::Counters>,
        orders: &BTreeMap<ServiceName, Option<wire::Order>>,
    ) {
        self.polling = false;
        if self.any_draining() {
            self.next_poll = self.next_poll.min(self.clock.now().plus(DRAIN_POLL));
        }
        let Some(counters) = counters else { return };
        for (name, order) in orders {
            let of = |load: &&wire::InstanceLoad| load.service == name.as_str();
            let loads: BTreeMap<&str, u64> = counters
                .instances
                .iter()
                .filter(of)
                .map(|load| (load.instance.as_str(), load.in_flight))
                .collect();
            self.with(name, |fleet| fleet.counted(&loads, *order));
        }
    }

    fn any_draining(&self) -> bool {
        let all = self.services.values().flat_map(|s| s.fleet.instances.values());
        all.into_iter().any(|i| matches!(i.phase, Phase::Draining { .. }))
    }
}

/// Addresses that a plan takes.
pub(super) fn addresses(plan: &Plan) -> Vec<SocketAddr> {
    plan.listen.into_iter().chain(plan.preview.as_ref().map(|preview| preview.listen)).collect()
}

/// A process of ours in the keeper's list; nothing for the control plane, the data plane and what
/// others started.
fn listed(process: &ProcessInfo, asked: &BTreeSet<String>) -> Option<Listed> {
    let label: Label = serde_json::from_value(process.label.clone()).ok()?;
    let state = match process.state {
        ProcessState::Running => ListedState::Running,
        ProcessState::Stopping => ListedState::Stopping,
        ProcessState::Exited(exit) => ListedState::Exited {
            cause: exit_cause(exit.code, exit.signal),
            at: Timestamp(exit.at_ms as i64),
            asked: asked.contains(&process.instance),
        },
    };
    Some(Listed { instance: process.instance.clone(), label, pid: process.pid, state })
}
