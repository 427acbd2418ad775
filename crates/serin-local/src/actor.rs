//! The one task that owns all fleets. Helpers send it facts; it absorbs them, reconciles, acts and
//! reports. It never waits for anything but its next message or moment.

mod carry;
mod hear;

use crate::clock::Clock;
use crate::keeper::{Keeper, KeeperFact};
use crate::launch::Launched;
use crate::local::{FlagAddress, Report, Settings, Shared};
use crate::measure::{self, Measured};
use crate::observe::{observation, views};
use crate::plane::{Plane, PlaneFact};
use crate::ports::Ports;
use crate::published::Numbers;
use crate::reconcile::{is_telling, reconcile, wake_at};
use crate::usage;
use crate::world::{Fleet, Probing};
use serin_core::{ExitCause, Millis, Observation, Plan, Probe, ServiceName, Timestamp};
use serin_keeper::protocol::Request;
use serin_proxy::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Shortest time between two reports of one service.
const REPORT_GAP: Millis = Millis(50);
/// Longest time between two reports of one service.
const HEARTBEAT: Millis = Millis::secs(5);
/// A part that has been away this long is trouble worth telling.
const AWAY: Millis = Millis::secs(1);
/// Time between two looks at what instances hold while some of them drain.
const DRAIN_POLL: Millis = Millis(100);
/// Rounds of reconciliation in one go; each one does something, so there are few.
const MAX_ROUNDS: usize = 20;

/// What users of the platform order.
#[derive(Debug)]
pub(crate) enum Command {
    Apply(Box<Plan>),
    Remove(ServiceName),
}

/// What helpers found out.
#[derive(Debug)]
pub(crate) enum Fact {
    Keeper(KeeperFact),
    Plane(PlaneFact),
    Launched(Launched),
    Probed {
        service: ServiceName,
        instance: String,
        probe: Box<(Probing, Probe)>,
        result: Result<String, String>,
    },
    /// What an instance publishes.
    Read {
        service: ServiceName,
        instance: String,
        period: Millis,
        result: Result<Numbers, String>,
    },
    /// What was measured at instances.
    Measured(Vec<(ServiceName, Measured)>),
    Explained {
        service: ServiceName,
        instance: String,
        cause: ExitCause,
        log: Vec<String>,
    },
    /// What instances held; with the orders that were in force when it was asked.
    Loads {
        counters: Option<Box<wire::Counters>>,
        orders: BTreeMap<ServiceName, Option<wire::Order>>,
    },
    /// The keeper could not listen for a service.
    Unbound {
        service: ServiceName,
        why: String,
    },
}

/// One service.
#[derive(Debug)]
struct Served {
    plan: Option<Plan>,
    fleet: Fleet,
    /// What the keeper said about its address.
    unbound: Option<String>,
    /// What was measured at its instances.
    measured: Measured,
    /// Whether enough was known to tell of it; from then on everything is told.
    telling: bool,
    /// The last report without its number, and when it was made.
    told: Option<(Observation, Timestamp)>,
    /// When time alone asks for something.
    wake: Option<Timestamp>,
}

pub(crate) struct Actor {
    settings: Settings,
    clock: Clock,
    commands: mpsc::UnboundedReceiver<Command>,
    facts: mpsc::UnboundedReceiver<Fact>,
    tell: mpsc::UnboundedSender<Fact>,
    reports: mpsc::Sender<Report>,
    keeper: Keeper,
    plane: Plane,
    ports: Ports,
    services: BTreeMap<ServiceName, Served>,
    shared: Arc<Shared>,
    flags: FlagAddress,
    /// Services that something happened to.
    touched: BTreeSet<ServiceName>,
    seq: u64,
    listed: bool,
    held: Option<BTreeMap<String, wire::Order>>,
    /// Since when the keeper and the data plane are away.
    keeper_away: Option<Timestamp>,
    plane_away: Option<Timestamp>,
    next_sample: Timestamp,
    next_poll: Timestamp,
    polling: bool,
}

/// What an actor is made of.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) keeper: Keeper,
    pub(crate) plane: Plane,
    pub(crate) shared: Arc<Shared>,
    pub(crate) flags: FlagAddress,
    pub(crate) facts: (mpsc::UnboundedSender<Fact>, mpsc::UnboundedReceiver<Fact>),
    pub(crate) ports: Ports,
}

impl Actor {
    pub(crate) fn new(parts: Parts) -> Self {
        let clock = Clock::start();
        let now = clock.now();
        Self {
            settings: parts.settings,
            clock,
            commands: parts.commands,
            facts: parts.facts.1,
            tell: parts.facts.0,
            reports: parts.reports,
            keeper: parts.keeper,
            plane: parts.plane,
            ports: parts.ports,
            services: BTreeMap::new(),
            shared: parts.shared,
            flags: parts.flags,
            touched: BTreeSet::new(),
            seq: 0,
            listed: false,
            held: None,
            keeper_away: Some(now),
            plane_away: Some(now),
            next_sample: now,
            next_poll: now,
            polling: false,
        }
    }

    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let wake = tokio::time::Instant::from_std(self.clock.instant(self.wake()));
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                Some(fact) = self.facts.recv() => self.hear(fact),
                () = tokio::time::sleep_until(wake) => {}
            }
            while let Ok(fact) = self.facts.try_recv() {
                self.hear(fact);
            }
            self.settle();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Apply(plan) => self.apply(*plan),
            Command::Remove(service) => self.remove(service),
        }
    }

    fn apply(&mut self, plan: Plan) {
        let service = plan.service.clone();
        let served = self.served(&service);
        served.told = None;
        let known = served.plan.as_ref().filter(|_| !served.fleet.table.withdrawn);
        if known.is_none_or(|known| plan.generation > known.generation) {
            let before = known.map(hear::addresses).unwrap_or_default();
            let wanted = hear::addresses(&plan);
            let preview = known.and_then(|known| known.preview.as_ref()).map(|p| p.listen);
            if before != wanted {
                served.unbound = None;
            }
            served.fleet.welcome();
            if let Some(old) = &served.plan {
                served.fleet.replan(old, &plan);
            }
            served.fleet.table.first_plan.get_or_insert(plan.generation);
            served.fleet.planned(&plan);
            served.plan = Some(plan);
            // The table goes out before anything else is done.
            self.act(&service);
            self.withdraw_workers();
            for addr in wanted.iter().filter(|addr| !before.contains(addr)) {
                self.bind(&service, *addr);
            }
            self.end_preview(preview.filter(|addr| !wanted.contains(addr)));
        }
        self.touched.insert(service);
    }

    fn remove(&mut self, service: ServiceName) {
        let served = self.served(&service);
        let preview = served.plan.as_ref().and_then(|plan| plan.preview.as_ref()).map(|p| p.listen);
        served.plan = Some(empty(&service, served.plan.as_ref()));
        (served.fleet.table.withdrawn, served.fleet.table.worker) = (true, false);
        self.end_preview(preview);
        self.plane.order(service.as_str(), crate::plane::Wanted::Withdrawn);
        self.touched.insert(service);
    }

    /// A preview that is over: whoever tries it shall be told at once that nobody is there.
    fn end_preview(&self, addr: Option<SocketAddr>) {
        let used = |addr: &SocketAddr| {
            let plans = self.services.values().filter_map(|served| served.plan.as_ref());
            plans.flat_map(hear::addresses).any(|other| other == *addr)
        };
        if let Some(addr) = addr.filter(|addr| !used(addr)) {
            self.order(Request::Unbind { addr: addr.to_string() });
        }
    }

    /// The service's entry; a new one knows what is known to hold for all.
    fn served(&mut self, service: &ServiceName) -> &mut Served {
        let now = self.clock.now();
        let held = self.held.as_ref().map(|held| held.get(service.as_str()).copied());
        let (listed, deadline) = (self.listed, self.settings.drain_deadline);
        self.services.entry(service.clone()).or_insert_with(|| {
            let mut fleet = Fleet::new(service.clone(), deadline);
            fleet.listed = listed;
            if let Some(held) = held {
                fleet.met(held, now);
            }
            let measured = Measured::new();
            let (plan, unbound, telling, told, wake) = (None, None, false, None, None);
            Served { plan, fleet, unbound, measured, telling, told, wake }
        })
    }
}

/// A plan that wants nothing, in the place of `last`.
fn empty(service: &ServiceName, last: Option<&Plan>) -> Plan {
    let generation = last.map(|p| p.generation).unwrap_or_default();
    let listen = last.and_then(|p| p.listen);
    Plan { listen, warm_up: Millis::secs(5), ..Plan::empty(service.clone(), generation) }
}

// === deciding and doing ===

impl Actor {
    /// Whatever is due, for every service that something happened to or whose time has come.
    fn settle(&mut self) {
        let now = self.clock.now();
        self.sample(now);
        let due = |(_, s): &(&ServiceName, &Served)| s.wake.is_some_and(|wake| wake <= now);
        let mut names: BTreeSet<ServiceName> =
            self.services.iter().filter(due).map(|(name, _)| name.clone()).collect();
        names.append(&mut self.touched);
        for name in names {
            self.act(&name);
            self.report(&name);
            self.drop_if_gone(&name);
        }
        self.poll(now);
    }

    /// Decides and does until nothing more is to be done now.
    fn act(&mut self, name: &ServiceName) {
        for _ in 0..MAX_ROUNDS {
            let now = self.clock.now();
            let Some(served) = self.services.get(name) else { return };
            let Some(plan) = &served.plan else { return };
            let actions = reconcile(plan, &served.fleet, now);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.carry_out(name, action, now);
            }
        }
    }

    /// A removed service is forgotten when its last process is, and that was told.
    fn drop_if_gone(&mut self, name: &ServiceName) {
        let gone = self.services.get(name).is_some_and(|s| {
            s.fleet.table.withdrawn
                && s.fleet.table.acked == Some(crate::world::WITHDRAWN)
                && s.fleet.listed
                && s.fleet.instances.is_empty()
                && s.told
                    .as_ref()
                    .is_some_and(|(seen, _)| seen.revisions.is_empty() && seen.fresh.is_none())
        });
        if gone {
            self.services.remove(name);
            self.shared.publish(name, Vec::new());
        }
    }

    /// Tells the engine and the people, if something changed or it is time to.
    fn report(&mut self, name: &ServiceName) {
        let now = self.clock.now();
        let worker = self.services.get(name).is_some_and(|s| s.fleet.table.worker);
        let trouble = self.trouble(worker, now);
        let shift = self.clock.shift();
        let away = [self.keeper_away, self.plane_away].into_iter().flatten();
        let doubt = away.map(|since| since.plus(AWAY)).filter(|at| *at > now).min();
        // Both are away when we begin: that is no news for a while.
        let starting = self.plane_away.is_some_and(|since| now < since.plus(AWAY));
        let Some(served) = self.services.get_mut(name) else { return };
        let mut seen = observation(served.plan.as_ref(), &served.fleet, shift);
        seen.trouble = trouble.or(served.unbound.clone()).or(seen.trouble);
        for (crew, numbers) in served.measured.iter().filter(|(crew, _)| !crew.baseline) {
            if let Some(revision) = seen.revisions.get_mut(&crew.revision) {
                revision.measured.clone_from(numbers);
            }
        }
        let mut next = match &served.told {
            None => now,
            Some((told, at)) if *told == seen => at.plus(HEARTBEAT),
            Some((_, at)) => at.plus(REPORT_GAP),
        };
        served.telling |= served.plan.as_ref().is_some_and(|plan| {
            let sure = served.fleet.table.reachable || worker || !starting;
            sure && is_telling(plan, &served.fleet, now)
        });
        // Whoever learns of a loss wants to know why: a moment later both are told together.
        let silent = served.fleet.silent_until().filter(|until| *until > now);
        next = next.max(silent.unwrap_or(next));
        if next <= now && served.telling {
            let report = Observation { seq: (self.settings.epoch, self.seq + 1), ..seen.clone() };
            // A full queue is a slow reader: it gets the newest state a moment later.
            let sent = self.reports.try_send(Report::Observed(name.clone(), report)).is_ok();
            next = now.plus(if sent { HEARTBEAT } else { REPORT_GAP });
            if sent {
                self.seq += 1;
                served.told = Some((seen, now));
            }
        }
        let views = views(served.plan.as_ref(), &served.fleet, shift);
        let timed = served.plan.as_ref().and_then(|plan| wake_at(plan, &served.fleet, now));
        let told = served.telling.then_some(next);
        served.wake = timed.into_iter().chain(told).chain(doubt).min();
        self.shared.publish(name, views);
    }

    /// Why nothing can be done now, as far as it concerns every service; a worker needs no data
    /// plane.
    fn trouble(&self, worker: bool, now: Timestamp) -> Option<String> {
        let long = |since: Option<Timestamp>| since.is_some_and(|since| now >= since.plus(AWAY));
        match (long(self.keeper_away), long(self.plane_away) && !worker) {
            (false, false) => None,
            (true, false) => Some("the keeper does not answer: instances cannot be started or stopped until it is back".into()),
            (false, true) => Some("the data plane does not answer: traffic stays as it is until it is back".into()),
            (true, true) => Some("neither the keeper nor the data plane answers: nothing can be changed until they are back".into()),
        }
    }

    /// The next moment something is due.
    fn wake(&self) -> Timestamp {
        let services = self.services.values().filter_map(|s| s.wake);
        let poll = (!self.polling && !self.services.is_empty()).then_some(self.next_poll);
        let first = services.chain(poll).chain([self.next_sample]).min();
        first.unwrap_or(self.next_sample)
    }

    /// Every few seconds: what instances use, and where the wall clock is.
    fn sample(&mut self, now: Timestamp) {
        if now < self.next_sample {
            return;
        }
        self.next_sample = now.plus(Millis(usage::PERIOD.as_millis() as u64));
        self.clock.compare();
        let living = self.services.values().flat_map(|s| &s.fleet.instances);
        let pids: BTreeMap<String, i32> = living
            .filter(|(_, i)| i.is_alive())
            .filter_map(|(id, i)| Some((id.clone(), i.pid?)))
            .collect();
        let planned = self.services.values().filter_map(|s| Some((s.plan.as_ref()?, &s.fleet)));
        let orders: Vec<_> =
            planned.filter_map(|(plan, fleet)| measure::order(plan, fleet)).collect();
        let (shared, tell) = (Arc::clone(&self.shared), self.tell.clone());
        let data = self.settings.data.clone();
        tokio::task::spawn_blocking(move || {
            shared.sample(pids);
            let measured = shared.measure(&orders, &data, now);
            // Nobody listens when the platform ends.
            let _ = tell.send(Fact::Measured(measured));
        });
    }
}
