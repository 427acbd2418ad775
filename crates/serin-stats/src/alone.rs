//! The time after the comparison: the canary has all requests and nothing stands beside it.
//!
//! Its error rate is held against what was harm when the comparison ended, and its tail against
//! the tail limit of stable's last window. Both are ceiling tests (see [`crate::eprocess::ceiling`])
//! with an onset mixture, so that trouble that begins late is not hidden by the good time before it. Their null is about the canary alone: trouble that would have hit both versions
//! counts against it too.

use crate::config::Metric;
use crate::grid::{K, LogEvidence, RATIOS, log_mean_exp};
use crate::onset::{Onset, start, with_rest};
use crate::tick::ArmTick;
use serde::{Deserialize, Serialize};

/// Share of requests beyond the tail limit that is harm: by then one in a hundred of stable's
/// requests was beyond its p99, fewer beyond the limit.
const TAIL_MAX: f64 = 0.05;

/// What is known since then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alone {
    errors: Option<Ceiling>,
    /// First bucket beyond the limit, and its evidence.
    tail: Option<(u16, Ceiling)>,
    onset: Onset,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ceiling {
    p_max: f64,
    evidence: LogEvidence,
    n: u64,
    events: u64,
}

impl Ceiling {
    fn new(p_max: f64) -> Self {
        Self { p_max, evidence: [Onset::LN_FIRST; K], n: 0, events: 0 }
    }

    /// Adds a tick to the ceiling test against each rate of the grid.
    fn observe(&mut self, n: u64, events: u64) {
        self.n = self.n.saturating_add(n);
        self.events = self.events.saturating_add(events);
        let good = n.saturating_sub(events) as f64;
        for (l, up) in self.evidence.iter_mut().zip(RATIOS.up) {
            let p = (self.p_max * (up + 1.0)).min(0.999);
            let miss = libm::log1p(-p) - libm::log1p(-self.p_max);
            *l += events as f64 * libm::log(p / self.p_max) + good * miss;
        }
    }
}

impl Alone {
    /// Begins, with the error rate that is harm and the first bucket beyond the tail limit.
    pub fn new(error_max: Option<f64>, tail_from: Option<u16>) -> Self {
        Self {
            errors: error_max.map(Ceiling::new),
            tail: tail_from.map(|bucket| (bucket, Ceiling::new(TAIL_MAX))),
            onset: Onset::default(),
        }
    }

    /// Adds a tick of `seconds`.
    pub fn observe(&mut self, seconds: u32, tick: &ArmTick) {
        let started = self.onset.advance(seconds);
        let tests = self.errors.iter_mut().chain(self.tail.iter_mut().map(|(_, test)| test));
        for test in tests {
            if let Some(ln_weight) = started {
                start(&mut test.evidence, ln_weight);
            }
        }
        if let Some(test) = &mut self.errors {
            test.observe(tick.n, tick.errors);
        }
        if let Some((bucket, test)) = &mut self.tail {
            test.observe(tick.timed(), tick.slow(*bucket));
        }
    }

    fn of(&self, test: &Ceiling) -> f64 {
        with_rest(RATIOS.mix(&test.evidence), Some(&self.onset))
    }

    /// `ln E` of each metric that is watched.
    pub fn evidence(&self) -> Vec<(Metric, f64)> {
        let errors = self.errors.as_ref().map(|test| (Metric::Errors, self.of(test)));
        let tail = self.tail.as_ref().map(|(_, test)| (Metric::Latency, self.of(test)));
        errors.into_iter().chain(tail).collect()
    }

    /// `ln E` of all of it: the mean.
    pub fn ln_e(&self) -> f64 {
        let logs: Vec<f64> = self.evidence().iter().map(|m| m.1).collect();
        if logs.is_empty() { 0.0 } else { log_mean_exp(&logs) }
    }

    /// Units and events of a metric in this time.
    pub fn counts(&self, metric: &Metric) -> Option<(u64, u64)> {
        match metric {
            Metric::Errors => self.errors.as_ref().map(|t| (t.n, t.events)),
            Metric::Latency => self.tail.as_ref().map(|(_, t)| (t.n, t.events)),
            _ => None,
        }
    }
}
