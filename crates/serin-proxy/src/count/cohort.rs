//! The requests of one second, and what closed cohorts come to.

use super::Pace;
use crate::hist::Hist;
use crate::wire::Judged;

/// How a request ended, for the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole response without error; bucket of its latency.
    Good(u16),
    /// The same, and it reached the goal.
    Goal(u16),
    /// The goal was reached, and nobody knows how long that took.
    Reached,
    /// An error of the arm.
    Error,
    /// Given up by the client.
    Aborted,
    /// An upgraded connection: no error, no latency.
    Upgraded,
}

impl Outcome {
    /// Bucket of the latency of a response without error.
    pub fn bucket(self) -> Option<u16> {
        match self {
            Self::Good(bucket) | Self::Goal(bucket) => Some(bucket),
            _ => None,
        }
    }
}

/// The judged requests that arrived in one second.
pub struct Cohort {
    pub second: u64,
    pub closes_ms: u64,
    /// The pace was unknown when the cohort began: it closes as late as any, or as soon as the
    /// pace is known.
    provisional: bool,
    all: Count,
    /// The same by instance.
    instances: Vec<Count>,
    latency: Hist,
    goals: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    begun: u64,
    settled: u64,
    /// Of those that have not settled: it is their client's turn.
    waiting: u64,
    errors: u64,
    aborted: u64,
}

impl Count {
    fn settle(&mut self, outcome: Outcome) {
        self.settled += 1;
        self.errors += u64::from(outcome == Outcome::Error);
        self.aborted += u64::from(outcome == Outcome::Aborted);
    }

    fn pass(&mut self, to_client: bool) {
        if to_client {
            self.waiting += 1;
        } else {
            self.waiting -= 1;
        }
    }

    /// Held up by the instance.
    fn unfinished(self) -> u64 {
        self.begun - self.settled - self.waiting
    }

    /// Given up or held up by the client.
    fn aborted(self) -> u64 {
        self.aborted + self.waiting
    }

    /// Judged requests and errors.
    fn closed(self) -> (u64, u64) {
        (self.begun - self.aborted(), self.errors + self.unfinished())
    }
}

/// What closed cohorts, or closed windows of users, came to.
#[derive(Default)]
pub struct Evidence {
    pub n: u64,
    pub errors: u64,
    pub unfinished: u64,
    pub aborted: u64,
    pub goals: u64,
    pub latency: Hist,
    /// Requests and errors by the slot of their instance.
    pub instances: Vec<(u64, u64)>,
}

impl Cohort {
    /// The cohort of a second, which closes `delay_ms` after it; `None` = the pace is unknown.
    pub fn new(second: u64, delay_ms: Option<u64>) -> Self {
        Self {
            second,
            closes_ms: (second + 1) * 1_000 + delay_ms.unwrap_or(Pace::MAX_DELAY_MS),
            provisional: delay_ms.is_none(),
            all: Count::default(),
            instances: Vec::new(),
            latency: Hist::default(),
            goals: 0,
        }
    }

    /// The pace is known.
    pub fn paced(&mut self, delay_ms: u64, now_ms: u64) {
        if std::mem::take(&mut self.provisional) {
            let closes = ((self.second + 1) * 1_000 + delay_ms).max(now_ms);
            self.closes_ms = closes.min(self.closes_ms);
        }
    }

    /// A request has begun; `slot` is its instance's.
    pub fn enter(&mut self, slot: Option<u16>) {
        self.all.begun += 1;
        let Some(slot) = slot.map(usize::from) else { return };
        if self.instances.len() <= slot {
            self.instances.resize(slot + 1, Count::default());
        }
        self.instances[slot].begun += 1;
    }

    /// One that has begun has ended.
    pub fn settle(&mut self, outcome: Outcome, slot: Option<u16>) {
        self.all.settle(outcome);
        if let Some(count) = slot.and_then(|slot| self.instances.get_mut(usize::from(slot))) {
            count.settle(outcome);
        }
        self.goals += u64::from(matches!(outcome, Outcome::Goal(_) | Outcome::Reached));
        if let Some(bucket) = outcome.bucket() {
            self.latency.add(bucket);
        }
    }

    /// It has become, or is no longer, the client's turn in one that has not ended.
    pub fn pass(&mut self, to_client: bool, slot: Option<u16>) {
        self.all.pass(to_client);
        if let Some(count) = slot.and_then(|slot| self.instances.get_mut(usize::from(slot))) {
            count.pass(to_client);
        }
    }
}

impl Evidence {
    /// Adds a cohort that has closed.
    pub fn take_in(&mut self, cohort: &Cohort) {
        let (n, errors) = cohort.all.closed();
        self.n += n;
        self.errors += errors;
        self.unfinished += cohort.all.unfinished();
        self.aborted += cohort.all.aborted();
        self.goals += cohort.goals;
        self.latency.merge(&cohort.latency);
        if self.instances.len() < cohort.instances.len() {
            self.instances.resize(cohort.instances.len(), (0, 0));
        }
        for (sum, count) in self.instances.iter_mut().zip(&cohort.instances) {
            let (n, errors) = count.closed();
            *sum = (sum.0 + n, sum.1 + errors);
        }
    }

    /// In the words of the wire, requests being the unit.
    pub fn report(&self) -> Judged {
        Judged {
            n: self.n,
            errors: self.errors,
            unfinished: self.unfinished,
            aborted: self.aborted,
            goals: self.goals,
            sessions: false,
            latency: self.latency.sparse(),
        }
    }
}
