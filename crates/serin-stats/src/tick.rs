//! What is observed: the counts of one stretch of time.

use crate::eprocess::Counts;
use crate::hist::Histogram;
use crate::metric::Metric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One arm's units (requests, or users once a window) of one tick, by arrival, closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmTick {
    /// Units assigned to the arm.
    pub n: u64,
    /// Those that failed, the unfinished ones among them.
    pub errors: u64,
    /// Latency of those that finished without an error.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub latency: Histogram,
    /// Those that had not finished when the tick was closed; already inside `errors` and `n`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished: u64,
    /// Requests given up by their client before they could be judged; in none of the above.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub aborted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl ArmTick {
    /// Units whose latency is known or known to be too long.
    pub(crate) fn timed(&self) -> u64 {
        self.latency.total().saturating_add(self.unfinished)
    }

    /// Those in `bucket` or slower; an unfinished one is slower than everything.
    pub(crate) fn slow(&self, bucket: u16) -> u64 {
        self.latency.count_from(bucket).saturating_add(self.unfinished)
    }

    /// Whether the counts can be true: parts are no larger than the whole.
    pub fn is_possible(&self) -> bool {
        let finished = self.n.checked_sub(self.errors);
        self.unfinished <= self.errors && finished.is_some_and(|n| self.latency.total() <= n)
    }
}

/// How many units were dealt to each arm, and what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dealt {
    /// Units dealt to the baseline.
    pub baseline: u64,
    /// Units dealt to the canary.
    pub canary: u64,
    /// The canary's planned share of both, in (0, 1).
    pub share: f64,
}

impl Dealt {
    fn is_possible(&self) -> bool {
        self.share > 0.0 && self.share < 1.0
    }
}

/// Numbers of a metric of the user's own, for one tick. Baseline first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sample {
    /// (trials, events) of a [`crate::metric::Kind::Share`].
    Share {
        /// Baseline.
        baseline: (u64, u64),
        /// Canary.
        canary: (u64, u64),
    },
    /// (exposure, events) of a [`crate::metric::Kind::Count`]; exposures are positive.
    Count {
        /// Baseline.
        baseline: (f64, u64),
        /// Canary.
        canary: (f64, u64),
    },
    /// Of a [`crate::metric::Kind::Mean`] or [`crate::metric::Kind::BoundedMean`].
    Mean {
        /// Baseline.
        baseline: Moments,
        /// Canary.
        canary: Moments,
    },
    /// Mean and standard error as a provider gives them, of a [`crate::metric::Kind::Mean`].
    MeanError {
        /// Baseline.
        baseline: (f64, f64),
        /// Canary.
        canary: (f64, f64),
    },
}

/// Sums of a number over the units of one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Units.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_squares: f64,
}

impl Sample {
    /// Whether the numbers can be true: finite, nothing negative, parts within the whole.
    pub fn is_possible(&self) -> bool {
        match self {
            Self::Share { baseline, canary } => baseline.1 <= baseline.0 && canary.1 <= canary.0,
            Self::Count { baseline, canary } => {
                let fine = |(exposure, events): (f64, u64)| {
                    exposure.is_finite() && exposure >= 0.0 && (exposure > 0.0 || events == 0)
                };
                fine(*baseline) && fine(*canary)
            }
            Self::Mean { baseline, canary } => baseline.is_possible() && canary.is_possible(),
            Self::MeanError { baseline, canary } => {
                let fine = |(mean, error): (f64, f64)| {
                    mean.is_finite() && error.is_finite() && error > 0.0
                };
                fine(*baseline) && fine(*canary)
            }
        }
    }
}

impl Moments {
    fn is_possible(&self) -> bool {
        let finite = self.sum.is_finite() && self.sum_squares.is_finite();
        let n = self.n as f64;
        // Cauchy and Schwarz, with room for rounding.
        let spread = self.sum * self.sum <= n * self.sum_squares * (1.0 + 1e-9) + 1e-9;
        finite && self.sum_squares >= 0.0 && spread
    }
}

/// The units that arrived in one stretch of time, within one generation of the routing table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Length of the stretch in seconds.
    pub seconds: u32,
    /// The stable revision, or the fresh baseline of it.
    pub baseline: ArmTick,
    /// The candidate.
    pub canary: ArmTick,
    /// What was dealt, for the sample-ratio guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dealt: Option<Dealt>,
    /// Stable's units and errors by part of the users, parts drawn independently of the arm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<(u64, u64)>,
    /// The same of the canary's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canary_split: Vec<(u64, u64)>,
    /// Judged requests and errors of each of stable's instances.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replicas: BTreeMap<String, (u64, u64)>,
    /// Metrics of the user's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<(Metric, Sample)>,
    /// Users who were seen in both arms within one window, where users are to stay in theirs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crossed: u64,
}

impl Tick {
    /// Units and errors of both arms.
    pub(crate) fn errors(&self) -> Counts {
        Counts {
            canary_n: self.canary.n,
            canary_events: self.canary.errors,
            baseline_n: self.baseline.n,
            baseline_events: self.baseline.errors,
        }
    }

    /// The same with the requests that clients gave up, as if each had failed.
    pub(crate) fn errors_and_given_up(&self) -> Counts {
        let (canary, baseline) = (self.canary.aborted, self.baseline.aborted);
        let errors = self.errors();
        Counts {
            canary_n: errors.canary_n.saturating_add(canary),
            canary_events: errors.canary_events.saturating_add(canary),
            baseline_n: errors.baseline_n.saturating_add(baseline),
            baseline_events: errors.baseline_events.saturating_add(baseline),
        }
    }

    /// Whether everything in it can be true. What cannot is not used at all.
    pub fn is_possible(&self) -> bool {
        self.baseline.is_possible()
            && self.canary.is_possible()
            && self.dealt.is_none_or(|d| d.is_possible())
            && self.split.iter().chain(&self.canary_split).all(|(n, k)| k <= n)
            && self.replicas.values().all(|(n, k)| k <= n)
            && self.samples.iter().all(|(_, sample)| sample.is_possible())
    }

    pub(crate) fn sample(&self, metric: &Metric) -> Option<&Sample> {
        self.samples.iter().find(|(name, _)| name == metric).map(|(_, sample)| sample)
    }
}
