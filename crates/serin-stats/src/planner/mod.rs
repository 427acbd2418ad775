//! How much traffic a decision needs, before any is spent.
//!
//! [`Question`] has the answers for people: how many requests and how long until a bad canary is
//! rolled back and a good one may be promoted. Those moments are random; they are given as median
//! and as the time by which nine of ten rollouts are decided. The evidence of the judge's own
//! mixtures at expected counts says where the middle is; its slopes there make it a walk with
//! drift, whose first passage is inverse Gaussian. Against simulations of the judge the medians
//! and 90 % quantiles are within 15 % (tests/power.rs) where at least some ten errors decide, and
//! within 25 % where ticks, of one second, have fewer than 20 requests.

mod model;
mod passage;
mod power;
mod practice;
#[cfg(test)]
mod tests;
pub mod words;

pub use power::{Amount, Detectable, Power, Question, QuestionError, Timing, Warning};
pub use practice::{
    BAKES, Bake, FailureKind, Stage, USUAL_SHARES, UsualShare, ladder, schedule, unseen,
    usual_share,
};

use crate::assessment::Rung;
use crate::config::JudgeConfig;
use crate::eprocess::{Outlook, PassEvidence};
use crate::normal;
use serde::Serialize;

/// Requests of both arms, not rounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleSize {
    /// Canary requests.
    pub canary: f64,
    /// Baseline requests.
    pub baseline: f64,
}

/// A classical test of two proportions, looked at once at its end: for comparison with what
/// other tools promise. Rates and probabilities in (0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoProportions {
    /// Rate of the baseline.
    pub baseline_rate: f64,
    /// Rate of the canary, different from the baseline's.
    pub canary_rate: f64,
    /// False-alarm probability.
    pub alpha: f64,
    /// Probability of finding the difference.
    pub power: f64,
    /// Baseline requests for each canary request.
    pub baseline_per_canary: f64,
    /// Whether an improvement counts as a difference too.
    pub two_sided: bool,
}

impl TwoProportions {
    /// The sample size: normal approximation with the pooled variance under the null. `None` when
    /// the rates are equal.
    pub fn sample_size(&self) -> Option<SampleSize> {
        let (p_s, p_c, k) = (self.baseline_rate, self.canary_rate, self.baseline_per_canary);
        let gap = p_c - p_s;
        let sides = if self.two_sided { 2.0 } else { 1.0 };
        let z_alpha = -normal::quantile(self.alpha / sides);
        let z_power = normal::quantile(self.power);
        let pooled = (p_c + k * p_s) / (1.0 + k);
        let null = libm::sqrt(pooled * (1.0 - pooled) * (1.0 + 1.0 / k));
        let other = libm::sqrt(p_c * (1.0 - p_c) + p_s * (1.0 - p_s) / k);
        let root = (z_alpha * null + z_power * other) / gap;
        (gap != 0.0).then_some(SampleSize { canary: root * root, baseline: k * root * root })
    }
}

/// Requests for a margin of error `half_width` around a rate `p`, at normal quantile `z`: it says
/// nothing about a difference of two versions.
pub fn margin_of_error_n(p: f64, half_width: f64, z: f64) -> u64 {
    libm::ceil(z * z * p * (1.0 - p) / (half_width * half_width)) as u64
}

/// Information in one pooled error: the Kullback-Leibler divergence between the canary's share of
/// errors at rate ratio `r` and at equal rates, `share` being the canary's share of requests.
pub fn nats_per_error(share: f64, r: f64) -> f64 {
    let theta = share * r / (share * r + 1.0 - share);
    theta * libm::log(theta / share) + (1.0 - theta) * libm::log((1.0 - theta) / (1.0 - share))
}

/// Errors of both arms expected until a canary with rate ratio `r` is rolled back.
/// `overhead` is what the mixture costs, in nats: 0.5 to 1.
pub fn errors_to_detect(share: f64, r: f64, alpha: f64, overhead: f64) -> f64 {
    (overhead - libm::log(alpha)) / nats_per_error(share, r)
}

/// Canary requests until half of all canaries whose error rate is `r` times `baseline_rate` are
/// rolled back, by a judge that shares `alpha` over its metrics. `None` when there are no errors to
/// see or nothing to find.
pub fn requests_to_detect(
    config: &JudgeConfig,
    baseline_rate: f64,
    r: f64,
    share: f64,
) -> Option<u64> {
    let question = Question {
        config: config.clone(),
        baseline: baseline_rate,
        detect: (baseline_rate * r).min(1.0),
        share,
        rps: None,
        within: None,
    };
    question.validate().ok()?;
    question.detection().map(|timing| timing.median.canary)
}

/// Canary requests expected until the error rate passes at `rung`, when both arms have
/// `base_rate` and `share` of all requests goes to the canary. Made of mean drifts: half of all
/// rollouts pass with up to a quarter less. `None`: it will not pass.
pub fn requests_to_pass(
    config: &JudgeConfig,
    base_rate: f64,
    share: f64,
    rung: Rung,
) -> Option<u64> {
    let outlook = Outlook { canary_rate: base_rate, baseline_rate: base_rate, share };
    let needed = config.pass_needed() * rung.part();
    PassEvidence::default().requests_missing(&config.error_harm(), needed, &outlook)
}
