//! The answer of a judge: an outcome with all the numbers behind it.

use crate::guards::Invalid;
use crate::metric::{Metric, Role};
use serde::{Deserialize, Serialize};

/// What the evidence says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The canary is worse than tolerated. Final.
    Fail,
    /// The canary is not harmful, as far as this rung asks.
    Pass,
    /// Neither is shown yet.
    Continue,
    /// There is nothing to judge yet; never a pass.
    NoData,
    /// The comparison is not sound; see [`Assessment::invalid`].
    Invalid,
}

/// Where on the ladder a PASS is asked for: rung `j` of `m` needs evidence `beta^(-j/m)`, so that
/// the last rung needs `1/beta`. Out-of-range values are taken as the nearest rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rung {
    /// The rung, from 1.
    pub j: u32,
    /// How many rungs there are.
    pub m: u32,
}

impl Rung {
    /// The only rung of a ladder of one: full evidence.
    pub const LAST: Self = Self { j: 1, m: 1 };

    /// Part of the full evidence that this rung asks for, above 0 and at most 1.
    pub fn part(self) -> f64 {
        let m = self.m.max(1);
        f64::from(self.j.clamp(1, m)) / f64::from(m)
    }
}

/// One metric's state. Evidence is in nats: the natural logarithm of an e-value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricAssessment {
    /// Which metric.
    pub metric: Metric,
    /// How much it has to say.
    #[serde(default)]
    pub role: Role,
    /// Its own outcome; `Fail` when it is to blame for the failure.
    pub outcome: Outcome,
    /// Baseline requests judged.
    pub baseline_n: u64,
    /// Errors among them; for latency, requests slower than the limit.
    pub baseline_events: u64,
    /// `baseline_events / baseline_n`; events by exposure for a count, the mean for a mean.
    pub baseline_rate: Option<f64>,
    /// Canary requests judged.
    pub canary_n: u64,
    /// Errors among them; for latency, requests slower than the limit.
    pub canary_events: u64,
    /// The same of the canary.
    pub canary_rate: Option<f64>,
    /// Errors: the error rate that counts as harm now. Latency: the duration in milliseconds
    /// beyond which a request counts as slow now (stable's recent p99 and the harm margin).
    pub limit: Option<f64>,
    /// Confidence sequence (1 - alpha) for the ratio of the canary's rate to the baseline's, with
    /// ends at 1/64 and 64. Errors only; `None` before the first error.
    pub interval: Option<(f64, f64)>,
    /// Evidence that the canary is worse than tolerated.
    pub fail_evidence: f64,
    /// `ln 1/alpha`, which the mean of the metrics' e-values has to reach.
    pub fail_needed: f64,
    /// Evidence that the canary is not harmful.
    pub pass_evidence: f64,
    /// What this rung asks for: `-(j/m) ln beta`.
    pub pass_needed: f64,
    /// Estimate of canary requests still needed for PASS at the present rates; `None` when it is
    /// not known or the present rates will not pass.
    pub requests_missing: Option<u64>,
    /// Recent quantiles, for latency.
    pub latency: Option<LatencySummary>,
}

/// Recent latency of both arms in milliseconds (middle of the bucket). `None`: no requests, or the
/// quantile lies among the unfinished ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Median of the baseline.
    pub baseline_p50_ms: Option<f64>,
    /// 99th percentile of the baseline.
    pub baseline_p99_ms: Option<f64>,
    /// Median of the canary.
    pub canary_p50_ms: Option<f64>,
    /// 99th percentile of the canary.
    pub canary_p99_ms: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn one() -> f64 {
    1.0
}

/// The judge's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// What the evidence says about the version as a whole.
    pub outcome: Outcome,
    /// `ln` of the e-value the whole rollout is judged by now: the mean of the metrics' FAIL e-values,
    /// with a twentieth of its weight for the time the canary is alone.
    pub fail_evidence: f64,
    /// `ln 1/alpha`.
    pub fail_needed: f64,
    /// Each metric, in the order of the configuration.
    pub metrics: Vec<MetricAssessment>,
    /// The metrics that are worse (e-BH at `alpha`, or else the one with the most evidence), as of
    /// the moment of failure. Empty without a failure.
    pub blame: Vec<Metric>,
    /// Why the outcome is `Invalid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<Invalid>,
    /// What evidence is divided by now because users' errors come in clumps; 1 when they do not
    /// or when units are requests.
    #[serde(default = "one")]
    pub dispersion: f64,
    /// Whether units are users, each once in a window, instead of requests.
    #[serde(default, skip_serializing_if = "is_false")]
    pub users: bool,
    /// Canary requests (or users) seen.
    pub canary_n: u64,
    /// Baseline requests (or users) seen.
    pub baseline_n: u64,
}
