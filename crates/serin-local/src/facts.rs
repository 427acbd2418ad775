//! Facts that change what is known of a service. Each may come twice or late: absorbing it again
//! changes nothing.

use crate::crew::{Crew, crews};
use crate::label::Label;
use crate::world::{Adoption, Fleet, Instance, Load, Phase, Probing, Tally, WITHDRAWN, Why};
use serin_core::{ExitCause, Generation, Millis, Plan, Probe, StartFailure, Timestamp};
use serin_proxy::wire;
use std::collections::BTreeMap;

/// An instance that was ready for this long has shown that it can run: the backoff begins anew.
const SETTLED: Millis = Millis::secs(60);
/// Longest time between two tries to start an instance.
const BACKOFF_MAX: Millis = Millis::secs(30);
/// Shortest time between two readiness probes of a ready instance.
const STEADY_MIN: Millis = Millis::secs(5);
/// First time between two readiness probes of a starting instance; doubled up to its period.
const FIRST_RETRY: Millis = Millis(50);

/// How often a slot is tried again because somebody else had its port.
const OUSTED_MAX: u32 = 2;

/// Longest time the story of a lost instance may take before the loss is told without it.
const STORY: Millis = Millis(200);

/// A process as the keeper lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its name.
    pub instance: String,
    /// What we wrote about it when it was started.
    pub label: Label,
    /// Its process id, also when it has exited.
    pub pid: i32,
    /// What it does.
    pub state: ListedState,
}

/// What a listed process does.
#[derive(Debug, Clone, PartialEq)]
pub enum ListedState {
    /// It runs.
    Running,
    /// It was sent SIGTERM.
    Stopping,
    /// It is gone.
    Exited {
        /// How it ended.
        cause: ExitCause,
        /// When.
        at: Timestamp,
        /// Whether a stop was ordered before.
        asked: bool,
    },
}

/// Time before try number `failures` + 1: 0.2 s, 1 s, 2 s, 4 s ... 30 s.
pub fn backoff(failures: u32) -> Millis {
    match failures {
        0 => Millis(0),
        1 => Millis(200),
        n => Millis((1000 << (n - 2).min(10)).min(BACKOFF_MAX.0)),
    }
}

/// Spreads periodic work: `period` changed by up to a tenth, by instance and time.
fn jittered(period: Millis, id: &str, now: Timestamp) -> Millis {
    let seed =
        id.bytes().chain(now.0.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Millis(period.0 * (900 + (seed >> 32) % 201) / 1000)
}

// === processes ===

impl Fleet {
    /// A process is about to be started.
    pub fn begun(&mut self, id: &str, label: &Label, now: Timestamp) {
        self.next_number = self.next_number.max(label.number + 1);
        self.instances.entry(id.into()).or_insert_with(|| Instance::new(label, now));
    }

    /// The keeper has started it.
    pub fn spawned(&mut self, id: &str, pid: i32, artefact: Option<String>, now: Timestamp) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.pid = Some(pid);
        instance.artefact = artefact.or(instance.artefact.take());
        if matches!(instance.phase, Phase::Starting { .. }) {
            instance.started = now;
        }
    }

    /// It has ended, or could not be started.
    pub fn exited(&mut self, id: &str, cause: ExitCause, now: Timestamp) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let unasked = instance.holds_slot();
        if !instance.is_alive() {
            return;
        }
        instance.end_readiness(now);
        instance.phase = Phase::Exited { at: now, cause };
        instance.reported = !unasked;
        if unasked {
            instance.untold_since = instance.ever_ready.then_some(now);
            let (crew, slot) = (instance.crew.clone(), instance.slot);
            let settled = instance.longest_ready >= SETTLED;
            self.lost(crew, slot, settled, now);
        }
    }

    /// A process is gone whose port somebody else holds: it was there first, between our look and
    /// the app's bind, which is not the app's fault. Its slot is tried at another port, and nothing
    /// is held against anybody; twice, as an app may also have left a child there.
    pub fn ousted(&mut self, id: &str, cause: ExitCause, now: Timestamp) {
        let starting = self.instances.get_mut(id).filter(|i| i.holds_slot() && !i.ever_ready);
        let failed = matches!(cause, ExitCause::Code(code) if code != 0);
        let Some(instance) = starting.filter(|i| failed && i.is_alive()) else {
            return self.exited(id, cause, now);
        };
        let slot = self.slots.entry((instance.crew.clone(), instance.slot)).or_default();
        if slot.ousted >= OUSTED_MAX {
            return self.exited(id, cause, now);
        }
        slot.ousted += 1;
        instance.phase = Phase::Exited { at: now, cause };
        instance.reported = true;
    }

    /// An instance was lost unasked: its slot waits before the next try.
    pub(crate) fn lost(&mut self, crew: Crew, slot: u32, settled: bool, now: Timestamp) {
        self.tallies.entry(crew.clone()).or_default().restarts += 1;
        let slot = self.slots.entry((crew, slot)).or_default();
        slot.failures = if settled { 1 } else { slot.failures + 1 };
        slot.not_before = now.plus(backoff(slot.failures));
    }

    /// The story of an instance that could not be brought up or was lost is complete.
    pub fn explained(&mut self, id: &str, cause: ExitCause, log: Vec<String>) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        if instance.ever_ready && cause == ExitCause::NotReady {
            return; // It took its time, and that is history.
        }
        instance.untold_since = None;
        let check = if instance.dead { &instance.liveness } else { &instance.readiness };
        let story =
            StartFailure { instance: id.into(), cause, last_probe: check.last.clone(), log };
        let (crew, slot) = (instance.crew.clone(), instance.slot);
        if instance.ever_ready {
            self.tallies.entry(crew).or_default().lost = Some(story);
        } else if !self.holders(&crew).any(|(_, i)| i.slot == slot && i.is_ready()) {
            self.tallies.entry(crew).or_default().failure = Some((slot, story));
        }
    }

    /// Until when it is better to say nothing: an instance was lost, and why is being read.
    pub(crate) fn silent_until(&self) -> Option<Timestamp> {
        let untold = self.instances.values().filter_map(|i| i.untold_since);
        untold.max().map(|since| since.plus(STORY))
    }
}

impl Instance {
    /// Remembers how long it was ready when that ends.
    pub(crate) fn end_readiness(&mut self, now: Timestamp) {
        if let Some(since) = self.ready_since() {
            self.longest_ready = self.longest_ready.max(now.since(since));
        }
    }
}

// === plans ===

impl Fleet {
    /// `new` takes the place of `old`: a crew that was not wanted a moment ago begins with a
    /// clean slate, whatever became of it the last time.
    pub fn replan(&mut self, old: &Plan, new: &Plan) {
        for (crew, _) in crews(new).filter(|(crew, _)| crew.wanted(old).is_none()) {
            self.tallies.remove(&crew);
            self.slots.retain(|(held, _), _| *held != crew);
        }
    }
}

// === the keeper's list ===

impl Fleet {
    /// The keeper's list of this service's processes was read: it is the truth.
    pub fn listed(&mut self, list: &[Listed], now: Timestamp) {
        self.recall_losses(list);
        for process in list {
            self.absorb_listed(process, now);
        }
        let gone: Vec<String> = self
            .instances
            .iter()
            .filter(|(id, i)| i.pid.is_some() && !list.iter().any(|p| p.instance == **id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.exited(&id, ExitCause::Unknown, now);
        }
        self.listed = true;
    }

    fn absorb_listed(&mut self, process: &Listed, now: Timestamp) {
        if !self.instances.contains_key(&process.instance) {
            self.adopt(process, now);
        } else if let ListedState::Exited { cause, .. } = &process.state {
            self.exited(&process.instance, cause.clone(), now);
        } else {
            self.spawned(&process.instance, process.pid, None, now);
        }
    }

    fn adopt(&mut self, process: &Listed, now: Timestamp) {
        let label = &process.label;
        self.next_number = self.next_number.max(label.number + 1);
        let mut instance = Instance::new(label, label.started);
        instance.pid = Some(process.pid);
        instance.phase = match &process.state {
            ListedState::Running => Phase::Starting { since: now },
            ListedState::Stopping => Phase::Stopping { since: now },
            ListedState::Exited { cause, at, .. } => {
                Phase::Exited { at: *at, cause: cause.clone() }
            }
        };
        let running = process.state == ListedState::Running;
        instance.adopted = Some(Adoption { since: now, proven: !running });
        instance.reported = !running;
        self.instances.insert(process.instance.clone(), instance);
    }

    /// Rebuilds what was lost before, from the labels: it is known up to the start of a crew's
    /// newest process, and exits after that start are added.
    fn recall_losses(&mut self, list: &[Listed]) {
        let unknown = |p: &&Listed| !self.instances.contains_key(&p.instance);
        let mut fresh: Vec<&Listed> = list.iter().filter(unknown).collect();
        fresh.sort_by_key(|p| (p.label.started, p.label.number));
        let mut restarts = BTreeMap::new();
        for process in &fresh {
            let label = &process.label;
            restarts.insert(label.crew(), label.restarts + exits_after(&fresh, label));
            self.recall_slot(process);
        }
        for (crew, count) in restarts {
            let tally = self.tallies.entry(crew).or_default();
            tally.restarts = tally.restarts.max(count);
        }
    }

    fn recall_slot(&mut self, process: &Listed) {
        let label = &process.label;
        let slot = self.slots.entry((label.crew(), label.slot)).or_default();
        let (failures, not_before) = match &process.state {
            ListedState::Exited { at, asked: false, .. } => {
                (label.failures + 1, at.plus(backoff(label.failures + 1)))
            }
            _ => (label.failures, label.started),
        };
        if not_before >= slot.not_before {
            (slot.failures, slot.not_before) = (failures, not_before);
        }
    }
}

/// Unasked exits of `label`'s crew since the process with that label was started.
fn exits_after(list: &[&Listed], label: &Label) -> u32 {
    let counts = |p: &&&Listed| {
        p.label.crew() == label.crew()
            && matches!(p.state, ListedState::Exited { at, asked: false, .. } if at > label.started)
    };
    list.iter().filter(counts).count() as u32
}

// === probes ===

impl Fleet {
    /// A probe of `id` was begun.
    pub fn probing(&mut self, id: &str, probing: Probing) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.check_mut(probing).trying = true;
        }
    }

    /// A probe was answered: `result` tells in words what was seen.
    pub fn probed(
        &mut self,
        id: &str,
        (probing, probe): (Probing, &Probe),
        result: Result<String, String>,
        now: Timestamp,
    ) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.check_mut(probing).absorb(result);
        match probing {
            Probing::Readiness => instance.judge_readiness(probe, now),
            Probing::Liveness => {
                instance.dead |= instance.liveness.failures >= probe.failure_threshold;
            }
        }
        let next = instance.next_probe(probing, probe, id, now);
        instance.check_mut(probing).next_at = next;
        if instance.is_ready() {
            self.forgive(id);
        }
    }

    /// An instance is ready: the failure of its slot is history.
    fn forgive(&mut self, id: &str) {
        let instance = &self.instances[id];
        let Some(tally) = self.tallies.get_mut(&instance.crew) else { return };
        tally.failure.take_if(|(slot, _)| *slot == instance.slot);
    }
}

impl crate::world::Check {
    fn absorb(&mut self, result: Result<String, String>) {
        self.trying = false;
        (self.successes, self.failures) = match result {
            Ok(_) => (self.successes.saturating_add(1), 0),
            Err(_) => (0, self.failures.saturating_add(1)),
        };
        self.last = Some(result.unwrap_or_else(|why| why));
    }
}

impl Instance {
    fn judge_readiness(&mut self, probe: &Probe, now: Timestamp) {
        // One fresh success is enough for a process that was ready under our predecessor, and its
        // warm-up is over if it was started long ago.
        let (wanted, since) = match self.unproven_since() {
            None => (probe.success_threshold, now),
            Some(_) => (1, self.started),
        };
        let failed = self.readiness.failures >= probe.failure_threshold;
        if let Some(adoption) = &mut self.adopted {
            adoption.proven |= failed || self.readiness.failures == 0;
        }
        match self.phase {
            Phase::Starting { .. } | Phase::Unready { .. }
                if self.readiness.successes >= wanted =>
            {
                if !self.ever_ready {
                    self.liveness.next_at = now;
                }
                self.ever_ready = true;
                self.phase = Phase::Ready { since };
            }
            Phase::Ready { since } if failed => {
                self.end_readiness(now);
                self.phase = Phase::Unready { ready_since: since };
            }
            _ => {}
        }
    }

    /// Quick while something may change, slow while nothing does.
    fn next_probe(&self, probing: Probing, probe: &Probe, id: &str, now: Timestamp) -> Timestamp {
        let steady = |period| now.plus(jittered(period, id, now));
        let quick = |failures: u32| Millis(FIRST_RETRY.0 << failures.min(12)).min(probe.period);
        match (probing, &self.phase) {
            (Probing::Liveness, _) => steady(probe.period),
            (_, Phase::Starting { .. }) => now.plus(quick(self.readiness.failures)),
            (_, Phase::Ready { .. }) if self.readiness.failures == 0 => {
                steady(Millis(probe.period.0.saturating_mul(5)).max(STEADY_MIN))
            }
            _ => now.plus(probe.period),
        }
    }
}

// === the data plane ===

impl Fleet {
    /// The data plane was met: it holds `held` for this service.
    pub fn met(&mut self, held: Option<wire::Order>, now: Timestamp) {
        self.table.known = true;
        self.table.reachable = true;
        self.table.acked = held;
        self.note_acked(now);
    }

    /// It has taken on an order.
    pub fn applied(
        &mut self,
        order: wire::Order,
        durable: bool,
        error: Option<String>,
        now: Timestamp,
    ) {
        self.table.acked = self.table.acked.max(Some(order));
        self.table.trouble = error;
        if durable {
            let generation = Generation { epoch: order.generation.epoch, n: order.generation.n };
            self.table.durable = self.table.durable.max(Some(generation));
        }
        self.note_acked(now);
    }

    /// It refused an order because it holds a newer one, or could not do it. A newer order of the
    /// same plan is simply overtaken; a newer plan is another controller's.
    pub fn refused(&mut self, have: Option<wire::Order>, why: String) {
        self.table.acked = self.table.acked.max(have);
        let asked = self.table.sent.as_ref().map(|sent| sent.generation);
        let ours = have.is_some_and(|have| asked.is_none_or(|asked| have.generation <= asked));
        self.table.trouble = (!ours).then_some(why);
    }

    /// It has forgotten the service.
    pub fn withdrawn(&mut self, now: Timestamp) {
        if self.table.withdrawn || self.table.worker {
            self.table.acked = Some(WITHDRAWN);
            self.note_acked(now);
        }
    }

    fn note_acked(&mut self, now: Timestamp) {
        let (held, unrouted) = (self.table.acked, self.table.is_unrouted());
        for instance in self.instances.values_mut() {
            if let Some(routed) = &mut instance.routed {
                routed.acked |= held >= Some(routed.from);
            }
            if let Phase::Draining { left, acked, .. } = &mut instance.phase
                && (unrouted || held.is_some_and(|held| held >= *left))
            {
                let _ = acked.get_or_insert(now);
            }
        }
    }

    /// The data plane counted what instances hold, while `order` or a newer one was in force.
    pub fn counted(&mut self, in_flight: &BTreeMap<&str, u64>, order: Option<wire::Order>) {
        for (id, instance) in &mut self.instances {
            let held = in_flight.get(id.as_str()).copied().unwrap_or(0);
            instance.load = Load { in_flight: held, counted_at: order };
        }
    }

    /// What is remembered of a crew.
    pub fn tally(&self, crew: &Crew) -> Tally {
        self.tallies.get(crew).cloned().unwrap_or_default()
    }
}

/// Turns a keeper's exit into ours.
pub fn exit_cause(code: Option<i32>, signal: Option<i32>) -> ExitCause {
    match (code, signal) {
        (_, Some(signal)) => ExitCause::Signal(signal),
        (Some(code), None) => ExitCause::Code(code),
        (None, None) => ExitCause::Unknown,
    }
}

impl Fleet {
    /// An instance leaves: no order from `left` on has it.
    pub(crate) fn drained(&mut self, id: &str, why: Why, left: wire::Order, now: Timestamp) {
        let acked = self.table.holds(left).then_some(now);
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.end_readiness(now);
        let ready_since = instance.ready_since();
        instance.phase = Phase::Draining { since: now, left, why, acked, ready_since };
        if why == Why::Dead {
            instance.untold_since = instance.ever_ready.then_some(now);
            instance.reported = !instance.ever_ready;
            let (crew, slot) = (instance.crew.clone(), instance.slot);
            let settled = instance.longest_ready >= SETTLED;
            self.lost(crew, slot, settled, now);
        }
    }
}
