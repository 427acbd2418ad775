//! What the users of the demo saw.

use super::pool::{Answer, Loss};
use serin_core::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// Everything counted so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tally {
    /// Requests that were due.
    pub(crate) sent: u64,
    /// Complete responses by hundreds of their status: `[0]` is unused.
    pub(crate) classes: [u64; 6],
    /// Requests without a complete response, or with an error made by Serin.
    pub(crate) lost: BTreeMap<Loss, u64>,
    /// Complete responses by the version that made them.
    pub(crate) by_version: BTreeMap<String, Arm>,
}

/// The responses of one version.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Arm {
    pub(crate) requests: u64,
    /// Of those, with a status of 500 or above.
    pub(crate) errors: u64,
    /// When the first and the last of its requests were due.
    pub(crate) first_sent_at: Option<Timestamp>,
    pub(crate) last_sent_at: Option<Timestamp>,
    /// When its first and its last response were complete.
    pub(crate) first_at: Option<Timestamp>,
    pub(crate) last_at: Option<Timestamp>,
    latency: Latency,
}

/// One request, when it was over.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) due_at: Timestamp,
    pub(super) done_at: Timestamp,
    /// From when it was due, so that a queue in front of the server counts.
    pub(super) latency: Duration,
    pub(super) result: Result<Answer, Loss>,
}

impl Tally {
    /// Requests without an answer of the app.
    pub(crate) fn dropped(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Requests that are over, well or not.
    pub(crate) fn done(&self) -> u64 {
        self.by_version.values().map(|arm| arm.requests).sum::<u64>() + self.dropped()
    }

    /// Errors users saw: statuses of 500 and above.
    pub(crate) fn errors(&self) -> u64 {
        self.classes[5]
    }

    /// The responses of `version`.
    pub(crate) fn version(&self, version: &str) -> Arm {
        self.by_version.get(version).cloned().unwrap_or_default()
    }

    pub(super) fn add(&mut self, visit: &Visit) {
        match &visit.result {
            Err(loss) => self.lose(*loss),
            Ok(answer) => self.answered(visit, answer),
        }
    }

    fn lose(&mut self, loss: Loss) {
        *self.lost.entry(loss).or_default() += 1;
    }

    fn answered(&mut self, visit: &Visit, answer: &Answer) {
        let class = usize::from(answer.status / 100).min(5);
        self.classes[class] += 1;
        match &answer.version {
            // The app names its version in every response, so this one is Serin's own.
            None if class == 5 => self.lose(Loss::NotTheApp),
            version => {
                let name = version.clone().unwrap_or_else(|| "?".into());
                self.by_version.entry(name).or_default().add(visit, class == 5);
            }
        }
    }
}

impl Arm {
    /// Latency in milliseconds that a share `q` of the requests did not exceed, to 5 %.
    pub(crate) fn quantile_ms(&self, q: f64) -> Option<f64> {
        self.latency.quantile_ms(q)
    }

    fn add(&mut self, visit: &Visit, is_error: bool) {
        self.requests += 1;
        self.errors += u64::from(is_error);
        widen(&mut self.first_sent_at, &mut self.last_sent_at, visit.due_at);
        widen(&mut self.first_at, &mut self.last_at, visit.done_at);
        self.latency.add(visit.latency);
    }
}

fn widen(first: &mut Option<Timestamp>, last: &mut Option<Timestamp>, at: Timestamp) {
    *first = Some(first.map_or(at, |first| first.min(at)));
    *last = Some(last.map_or(at, |last| last.max(at)));
}

/// Counts by latency in steps of 2^(1/16).
#[derive(Debug, Clone, Default, PartialEq)]
struct Latency(BTreeMap<u16, u64>);

const STEPS_PER_DOUBLING: f64 = 16.0;

impl Latency {
    fn add(&mut self, latency: Duration) {
        let micros = (latency.as_secs_f64() * 1e6).max(1.0);
        let bucket = (micros.log2() * STEPS_PER_DOUBLING).ceil() as u16;
        *self.0.entry(bucket).or_default() += 1;
    }

    /// The upper end of the bucket the quantile is in.
    fn quantile_ms(&self, q: f64) -> Option<f64> {
        let wanted = q * self.0.values().sum::<u64>() as f64;
        let mut seen = 0;
        let reached = |(bucket, n): (&u16, &u64)| {
            seen += n;
            (seen as f64 >= wanted).then_some(*bucket)
        };
        let bucket = self.0.iter().find_map(reached)?;
        Some((f64::from(bucket) / STEPS_PER_DOUBLING).exp2() / 1000.0)
    }
}
