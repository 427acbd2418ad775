//! Counting of requests by arm and by arrival second. One worker's part; workers share nothing but
//! the users of services with affinity ([`crate::sessions`]).
//!
//! A cohort is the requests that arrived in one second. It closes `max(1 s, 4 x stable's p99)`
//! after its second (at most 30 s); until then outcomes go into it, at the close it becomes
//! evidence and whatever still runs becomes an error, or, when it is the client that keeps it
//! waiting ([`Turn`]), a request given up. Closing needs no timer: an outcome that comes after the
//! deadline is ignored, and what is missing is found when the cohort is folded.

mod cohort;
mod pace;
mod ticket;
mod turn;

pub use cohort::{Evidence, Outcome};
pub use pace::Pace;
pub use ticket::{Dealt, Ticket};
pub use turn::Turn;

use crate::hist::Hist;
use crate::sessions::Seats;
use crate::wire::{self, ArmCounters, Judged, MAX_INSTANCES, Role};
use cohort::Cohort;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[derive(Default)]
struct Totals {
    requests: Cell<u64>,
    responses_5xx: Cell<u64>,
    timeouts: Cell<u64>,
    connect_failures: Cell<u64>,
    resets: Cell<u64>,
    client_aborts: Cell<u64>,
    retries: Cell<u64>,
    fallback: Cell<u64>,
    upgrades: Cell<u64>,
    latency: RefCell<Hist>,
}

fn bump(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// Copies for an arm, in one worker.
#[derive(Default)]
struct Copied {
    sent: Cell<u64>,
    dropped: Cell<u64>,
    too_large: Cell<u64>,
}

/// Counters of one arm in one generation, in one worker.
pub struct ArmCount {
    revision: String,
    role: Role,
    weight: Cell<u32>,
    /// With affinity, users are the evidence.
    seats: Option<Seats>,
    instances: RefCell<Vec<String>>,
    pace: Rc<Pace>,
    assigned: Cell<u64>,
    first_ms: Cell<u64>,
    last_ms: Cell<u64>,
    led: Cell<u64>,
    copied: Copied,
    totals: Totals,
    evidence: RefCell<Evidence>,
    cohorts: RefCell<Vec<Cohort>>,
}

impl ArmCount {
    /// Counters at zero.
    pub fn new(arm: &wire::Arm, pace: Rc<Pace>, seats: Option<Seats>) -> Self {
        Self {
            revision: arm.revision.clone(),
            role: arm.role,
            weight: Cell::new(arm.weight),
            seats,
            instances: RefCell::default(),
            pace,
            assigned: Cell::default(),
            first_ms: Cell::default(),
            last_ms: Cell::default(),
            led: Cell::default(),
            copied: Copied::default(),
            totals: Totals::default(),
            evidence: RefCell::default(),
            cohorts: RefCell::default(),
        }
    }

    /// Whether it is this arm that is counted.
    pub fn is(&self, arm: &wire::Arm) -> bool {
        self.revision == arm.revision && self.role == arm.role
    }

    /// Its revision.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether its revision is on trial.
    pub fn is_on_trial(&self) -> bool {
        matches!(self.role, Role::Candidate | Role::Variant)
    }

    /// A copy was not made: too many are under way, or no instance is ready.
    pub fn copy_dropped(&self) {
        bump(&self.copied.dropped);
    }

    /// A copy was not made: its body is too large.
    pub fn copy_too_large(&self) {
        bump(&self.copied.too_large);
    }

    /// Takes over the weight of a newer order of the same generation.
    pub fn set_weight(&self, weight: u32) {
        self.weight.set(weight);
    }

    /// Where an instance is counted by itself, while there is room.
    pub fn slot(&self, instance: &str) -> Option<u16> {
        let mut instances = self.instances.borrow_mut();
        let held = instances.iter().position(|name| name == instance);
        if held.is_none() && instances.len() < MAX_INSTANCES {
            instances.push(instance.to_owned());
        }
        let last = instances.len() - 1;
        let found = held.or_else(|| (instances[last] == instance).then_some(last));
        found.map(|slot| slot as u16)
    }

    fn assign(&self, now_ms: u64) {
        if self.assigned.get() == 0 {
            self.first_ms.set(now_ms);
        }
        self.last_ms.set(now_ms);
        bump(&self.assigned);
    }

    fn enter(&self, now_ms: u64, slot: Option<u16>) {
        let second = now_ms / 1_000;
        let mut cohorts = self.cohorts.borrow_mut();
        if let Some(last) = cohorts.last_mut().filter(|last| last.second == second) {
            return last.enter(slot);
        }
        self.fold(&mut cohorts, now_ms);
        let mut cohort = Cohort::new(second, self.pace.delay_ms());
        cohort.enter(slot);
        cohorts.push(cohort);
    }

    fn keep_pace(&self, bucket: u16, now_ms: u64) {
        self.pace.add(bucket, now_ms);
        self.seats.iter().for_each(|seats| seats.pace(bucket, now_ms));
    }

    /// Changes the cohort of a second, unless it has closed.
    fn change(&self, second: u64, now_ms: u64, change: impl FnOnce(&mut Cohort)) {
        let mut cohorts = self.cohorts.borrow_mut();
        let found = cohorts.iter_mut().rev().find(|cohort| cohort.second == second);
        if let Some(cohort) = found.filter(|cohort| now_ms < cohort.closes_ms) {
            change(cohort);
        }
    }

    fn settle(&self, second: u64, now_ms: u64, outcome: Outcome, slot: Option<u16>) {
        self.change(second, now_ms, |cohort| cohort.settle(outcome, slot));
    }

    fn pass(&self, second: u64, now_ms: u64, to_client: bool, slot: Option<u16>) {
        self.change(second, now_ms, |cohort| cohort.pass(to_client, slot));
    }

    fn fold(&self, cohorts: &mut Vec<Cohort>, now_ms: u64) {
        if let Some(delay) = self.pace.delay_ms() {
            for cohort in cohorts.iter_mut() {
                cohort.paced(delay, now_ms);
            }
        }
        let mut evidence = self.evidence.borrow_mut();
        for cohort in cohorts.extract_if(.., |cohort| cohort.closes_ms <= now_ms) {
            evidence.take_in(&cohort);
        }
    }

    /// Closes what is due and reports everything.
    pub fn report(&self, now_ms: u64) -> ArmCounters {
        self.fold(&mut self.cohorts.borrow_mut(), now_ms);
        let evidence = self.evidence.borrow();
        let judged = match self.seats {
            None => evidence.report(),
            // The rest is for whoever knows what all workers saw.
            Some(_) => Judged { aborted: evidence.aborted, sessions: true, ..Judged::default() },
        };
        let instances = self.instances.borrow();
        let counts = instances.iter().zip(&evidence.instances);
        ArmCounters {
            revision: self.revision.clone(),
            role: self.role,
            weight_asked: self.weight.get(),
            assigned: self.assigned.get(),
            first_assigned_ms: self.first_ms.get(),
            last_assigned_ms: self.last_ms.get(),
            sessions_assigned: 0,
            split: Vec::new(),
            led: self.led.get(),
            copies: self.copied.report(),
            instances: counts.map(|(name, (n, errors))| (name.clone(), *n, *errors)).collect(),
            judged,
            totals: self.totals.report(),
        }
    }

    /// Whether every cohort is closed.
    pub fn is_closed(&self, now_ms: u64) -> bool {
        self.fold(&mut self.cohorts.borrow_mut(), now_ms);
        self.cohorts.borrow().is_empty()
    }

    /// First second that is not closed yet, if any.
    pub fn oldest_open_s(&self) -> Option<u64> {
        self.cohorts.borrow().iter().map(|cohort| cohort.second).min()
    }
}

impl Copied {
    fn report(&self) -> wire::Copies {
        wire::Copies {
            sent: self.sent.get(),
            dropped: self.dropped.get(),
            too_large: self.too_large.get(),
        }
    }
}

impl Totals {
    fn report(&self) -> wire::Totals {
        wire::Totals {
            requests: self.requests.get(),
            responses_5xx: self.responses_5xx.get(),
            timeouts: self.timeouts.get(),
            connect_failures: self.connect_failures.get(),
            resets: self.resets.get(),
            client_aborts: self.client_aborts.get(),
            retries: self.retries.get(),
            fallback: self.fallback.get(),
            upgrades: self.upgrades.get(),
            latency: self.latency.borrow().sparse(),
        }
    }
}

#[cfg(test)]
mod tests;
