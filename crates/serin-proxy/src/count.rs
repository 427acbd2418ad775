//! Counting of requests by arm and by arrival second. One worker's part; workers share nothing.
//!
//! A cohort is the requests that arrived in one second. It closes `max(1 s, 4 x stable's p99)`
//! after its second (at most 30 s); until then outcomes go into it, at the close it becomes
//! evidence and whatever still runs becomes an error. Closing needs no timer: an outcome that
//! comes after the deadline is ignored, and what is missing is found when the cohort is folded.

use crate::clock::Clock;
use crate::hist::Hist;
use crate::wire::{self, ArmCounters, Judged, Role};
use serin_stats::bucket_of_us;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

const MIN_DELAY_MS: u64 = 1_000;
const MAX_DELAY_MS: u64 = 30_000;
/// Finished requests of stable needed before its p99 is believed.
const PACE_NEEDS: u64 = 20;
/// The pace forgets half of what it knows this often.
const PACE_HALF_LIFE_MS: u64 = 10_000;

/// How fast a service's stable revision answers, from its recent requests.
#[derive(Default)]
pub struct Pace {
    recent: RefCell<Hist>,
    halved_ms: Cell<u64>,
}

impl Pace {
    fn add(&self, bucket: u16, now_ms: u64) {
        let mut recent = self.recent.borrow_mut();
        if now_ms >= self.halved_ms.get() + PACE_HALF_LIFE_MS {
            self.halved_ms.set(now_ms);
            if recent.total() >= 2 * PACE_NEEDS {
                recent.halve();
            }
        }
        recent.add(bucket);
    }

    /// How long after its second a cohort closes; `None` while stable's pace is unknown.
    fn delay_ms(&self) -> Option<u64> {
        let recent = self.recent.borrow();
        if recent.total() < PACE_NEEDS {
            return None;
        }
        let p99 = recent.quantile_us(0.99)?;
        Some((4 * p99 / 1_000).clamp(MIN_DELAY_MS, MAX_DELAY_MS))
    }
}

struct Cohort {
    second: u64,
    closes_ms: u64,
    /// The pace was unknown when the cohort began: it closes as late as any, or as soon as the
    /// pace is known.
    provisional: bool,
    begun: u64,
    settled: u64,
    errors: u64,
    aborted: u64,
    latency: Hist,
}

/// How a request ended, for the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole response without error; bucket of its latency.
    Good(u16),
    /// An error of the arm.
    Error,
    /// Given up by the client.
    Aborted,
    /// An upgraded connection: no error, no latency.
    Upgraded,
}

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

#[derive(Default)]
struct Evidence {
    n: u64,
    errors: u64,
    unfinished: u64,
    aborted: u64,
    latency: Hist,
}

fn bump(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// Counters of one arm in one generation, in one worker.
pub struct ArmCount {
    revision: String,
    role: Cell<Role>,
    weight: Cell<u32>,
    pace: Rc<Pace>,
    assigned: Cell<u64>,
    first_ms: Cell<u64>,
    last_ms: Cell<u64>,
    totals: Totals,
    evidence: RefCell<Evidence>,
    cohorts: RefCell<Vec<Cohort>>,
}

impl ArmCount {
    /// Counters at zero.
    pub fn new(revision: &str, role: Role, weight: u32, pace: Rc<Pace>) -> Self {
        Self {
            revision: revision.to_owned(),
            role: Cell::new(role),
            weight: Cell::new(weight),
            pace,
            assigned: Cell::default(),
            first_ms: Cell::default(),
            last_ms: Cell::default(),
            totals: Totals::default(),
            evidence: RefCell::default(),
            cohorts: RefCell::default(),
        }
    }

    /// Revision counted.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether its revision is on trial.
    pub fn is_candidate(&self) -> bool {
        self.role.get() == Role::Candidate
    }

    /// Takes over role and weight of a newer order of the same generation.
    pub fn set_asked(&self, role: Role, weight: u32) {
        self.role.set(role);
        self.weight.set(weight);
    }

    fn assign(&self, now_ms: u64) {
        if self.assigned.get() == 0 {
            self.first_ms.set(now_ms);
        }
        self.last_ms.set(now_ms);
        bump(&self.assigned);
    }

    fn enter(&self, now_ms: u64) {
        let second = now_ms / 1_000;
        let mut cohorts = self.cohorts.borrow_mut();
        if let Some(last) = cohorts.last_mut().filter(|last| last.second == second) {
            last.begun += 1;
            return;
        }
        self.fold(&mut cohorts, now_ms);
        cohorts.push(self.cohort(second));
    }

    fn cohort(&self, second: u64) -> Cohort {
        let delay = self.pace.delay_ms();
        Cohort {
            second,
            closes_ms: (second + 1) * 1_000 + delay.unwrap_or(MAX_DELAY_MS),
            provisional: delay.is_none(),
            begun: 1,
            settled: 0,
            errors: 0,
            aborted: 0,
            latency: Hist::default(),
        }
    }

    fn settle(&self, second: u64, now_ms: u64, outcome: Outcome) {
        let mut cohorts = self.cohorts.borrow_mut();
        let found = cohorts.iter_mut().rev().find(|cohort| cohort.second == second);
        let Some(cohort) = found.filter(|cohort| now_ms < cohort.closes_ms) else { return };
        cohort.settled += 1;
        match outcome {
            Outcome::Good(bucket) => cohort.latency.add(bucket),
            Outcome::Error => cohort.errors += 1,
            Outcome::Aborted => cohort.aborted += 1,
            Outcome::Upgraded => {}
        }
    }

    fn fold(&self, cohorts: &mut Vec<Cohort>, now_ms: u64) {
        if let Some(delay) = self.pace.delay_ms() {
            for cohort in cohorts.iter_mut().filter(|cohort| cohort.provisional) {
                cohort.provisional = false;
                let closes = ((cohort.second + 1) * 1_000 + delay).max(now_ms);
                cohort.closes_ms = closes.min(cohort.closes_ms);
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
        ArmCounters {
            revision: self.revision.clone(),
            role: self.role.get(),
            weight_asked: self.weight.get(),
            assigned: self.assigned.get(),
            first_assigned_ms: self.first_ms.get(),
            last_assigned_ms: self.last_ms.get(),
            judged: self.evidence.borrow().report(),
            totals: self.totals.report(),
        }
    }

    /// First second that is not closed yet, if any.
    pub fn oldest_open_s(&self) -> Option<u64> {
        self.cohorts.borrow().iter().map(|cohort| cohort.second).min()
    }
}

impl Evidence {
    fn take_in(&mut self, cohort: &Cohort) {
        let unfinished = cohort.begun - cohort.settled;
        self.n += cohort.begun - cohort.aborted;
        self.errors += cohort.errors + unfinished;
        self.unfinished += unfinished;
        self.aborted += cohort.aborted;
        self.latency.merge(&cohort.latency);
    }

    fn report(&self) -> Judged {
        Judged {
            n: self.n,
            errors: self.errors,
            unfinished: self.unfinished,
            aborted: self.aborted,
            latency: self.latency.sparse(),
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

/// One request's place in the counters. Dropped without an end, it was given up by the client.
pub struct Ticket {
    arm: Rc<ArmCount>,
    clock: Clock,
    arrived: Instant,
    second: u64,
    judged: bool,
    /// Another arm serves the request: what comes of it says nothing about this one.
    elsewhere: bool,
    ended: bool,
}

impl Ticket {
    /// Assigns a request that arrived at `arrived` to an arm.
    pub fn assign(arm: Rc<ArmCount>, clock: Clock, arrived: Instant) -> Self {
        let now_ms = clock.ms(arrived);
        arm.assign(now_ms);
        let second = now_ms / 1_000;
        Self { arm, clock, arrived, second, judged: false, elsewhere: false, ended: false }
    }

    /// Milliseconds of Unix time at which the request arrived.
    pub fn arrived_ms(&self) -> u64 {
        self.clock.ms(self.arrived)
    }

    /// Makes the request evidence, unless its outcome is settled already.
    pub fn judge(&mut self) {
        if !self.elsewhere {
            self.judged = true;
            self.arm.enter(self.arrived_ms());
        }
    }

    fn settle(&mut self, now_ms: u64, outcome: Outcome) {
        if std::mem::take(&mut self.judged) {
            self.arm.settle(self.second, now_ms, outcome);
        }
    }

    /// The first attempt failed: whatever a retry brings, it was an error of this arm.
    pub fn first_attempt_failed(&mut self) {
        self.settle(self.clock.now_ms(), Outcome::Error);
    }

    /// The arm had no ready instance; another one serves the request.
    pub fn fallback(&mut self) {
        self.elsewhere = true;
        bump(&self.arm.totals.fallback);
        self.first_attempt_failed();
    }

    /// An attempt found no open port.
    pub fn connect_failed(&self) {
        bump(&self.arm.totals.connect_failures);
    }

    /// An attempt's connection broke.
    pub fn reset(&self) {
        bump(&self.arm.totals.resets);
    }

    /// Another attempt begins.
    pub fn retry(&self) {
        bump(&self.arm.totals.retries);
    }

    fn end(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.ended, true);
        if first {
            bump(&self.arm.totals.requests);
        }
        first
    }

    /// The whole response has passed.
    pub fn finish(&mut self, now: Instant, server_error: bool) {
        if !self.end() || self.elsewhere {
            return;
        }
        let now_ms = self.clock.ms(now);
        if server_error {
            bump(&self.arm.totals.responses_5xx);
            return self.settle(now_ms, Outcome::Error);
        }
        let bucket = bucket_of_us(now.duration_since(self.arrived).as_micros() as u64);
        self.arm.totals.latency.borrow_mut().add(bucket);
        if self.arm.role.get() == Role::Stable {
            self.arm.pace.add(bucket, now_ms);
        }
        self.settle(now_ms, Outcome::Good(bucket));
    }

    /// The connection was upgraded.
    pub fn upgraded(&mut self) {
        if self.end() {
            bump(&self.arm.totals.upgrades);
            self.settle(self.clock.now_ms(), Outcome::Upgraded);
        }
    }

    /// The request timeout ran out.
    pub fn timed_out(&mut self) {
        if self.end() {
            bump(&self.arm.totals.timeouts);
            self.settle(self.clock.now_ms(), Outcome::Error);
        }
    }

    /// No attempt brought a whole response.
    pub fn failed(&mut self) {
        if self.end() {
            self.settle(self.clock.now_ms(), Outcome::Error);
        }
    }

    /// The client went away, or sent something that is not HTTP.
    pub fn aborted(&mut self) {
        if self.end() {
            bump(&self.arm.totals.client_aborts);
            self.settle(self.clock.now_ms(), Outcome::Aborted);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.aborted();
    }
}

#[cfg(test)]
mod tests;
