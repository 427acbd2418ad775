//! What runs came to, in numbers.

use crate::draw::Truth;
use serin_core::{Outcome, RevisionId, RolloutRecord};
use std::collections::BTreeMap;

/// The numbers of one run, or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Facts handed to the controller.
    pub events: u64,
    /// Rollouts that began and ended, by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Faults that scripts asked for: crashes of the controller, of the data plane, of instances,
    /// full disks, bad networks, clocks that jump.
    pub faults: u64,
    /// Controllers that ended.
    pub crashes: u64,
    /// Good revisions that were set back by evidence.
    pub false_rollbacks: u64,
    /// Good revisions that were judged.
    pub good_trials: u64,
    /// Something could not be stored at some time.
    pub trouble: bool,
}

impl Tally {
    /// Adds the numbers of another run.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.false_rollbacks += other.false_rollbacks;
        self.good_trials += other.good_trials;
        self.trouble |= other.trouble;
    }

    /// Rollouts that began and ended.
    pub fn rollouts(&self) -> u64 {
        self.outcomes.values().sum()
    }

    pub(crate) fn count(&mut self, record: &RolloutRecord, truths: &BTreeMap<RevisionId, Truth>) {
        *self.outcomes.entry(record.outcome.as_str()).or_default() += 1;
        let judged = record.assessment.as_ref().is_some_and(|a| a.canary_n > 0);
        let good = truths.get(&record.to).is_none_or(|truth| *truth == Truth::Good);
        if good && judged {
            self.good_trials += 1;
            let by_evidence =
                record.cause.as_ref().is_some_and(|c| c.code == "errors" || c.code == "latency");
            let against = record.outcome == Outcome::RolledBack && by_evidence;
            self.false_rollbacks += u64::from(against);
        }
    }
}
