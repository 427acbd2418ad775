//! A judge of time series that is compatible with Kayenta's `NetflixACAJudge-v1.0`.
//!
//! For those who bring Kayenta configurations along, and for metrics from outside providers that
//! come as points without counts. It looks once, at a fixed number of points; where Serin counts
//! requests itself, [`crate::Judge`] is quicker and may be looked at all the time. Points are taken
//! for independent, which the minutes of a service are not quite: with trends or daily cycles in
//! both arms the true confidence is below the stated one.
//!
//! [`judge`] does it all: clean both arms of every metric ([`sample`]), estimate the shift between
//! them by ranks ([`mann_whitney`]), classify each metric ([`classify`]), score the canary and
//! classify the score ([`score`]). It is a pure function; two calls give the same bits.
//!
//! # Compatible: [`Compat::Kayenta`]
//!
//! Same rules in the same order, same constants, same steps of the same root finder. It keeps what
//! is odd: intervals to an absolute 1e-4 (metrics of magnitude 1e-3 and below have to be scaled
//! first), empty arms that pass under `replace`, ends of intervals that stand although there are
//! too few points for them. Different on purpose, in both modes:
//!
//! - Noise for two constant arms is seeded by their values; Kayenta's differs from run to run.
//! - Infinite points, and those beyond 1e100, are left out and reported as missing.
//! - Where Kayenta says NaN (a ratio of means one of which is 0), this says `None`.
//! - Thresholds of 0 and weights above 100 % are refused: with them, no data would pass.
//!
//! # Repaired: [`Compat::Improved`]
//!
//! 1. The shift is exact at any magnitude, not to 1e-4: see [`mann_whitney::shift_exact`].
//! 2. Practical size is measured against the control's level. High needs the whole interval above
//!    `tolerance` times the control's median, or above what `allowedIncrease` allows if that is
//!    given; Low likewise. Kayenta compares the interval with a share of the shift itself, which
//!    says how precise the shift is and nothing about its size.
//! 3. Negative metrics: the effect is `1 + difference / |control|`, which is above 1 exactly for a
//!    rise. Kayenta's ratio turns around, so that such a metric never fails. A mean of 0 in the
//!    experiment is a ratio of 0, not an unknown one.
//! 4. Counts that are mostly 0 have a shift of 0, and Kayenta's verdict on them is decided by where
//!    its root finder happens to stop. If the interval ends on such ties, the ranks are tested
//!    directly and the size is that of the ratio of the means.
//! 5. No data is never a pass: neither an empty arm under `replace`, nor so few points that not
//!    even complete separation would reach the confidence, nor a group in which nothing was
//!    judged (Kayenta counts it as 100), nor metrics without a group (Kayenta forgets them).
//! 6. A comparison that fails counts as no data, and is critical for a critical metric.
//! 7. A score equal to the marginal threshold is marginal everywhere.

mod brent;
pub mod classify;
mod compare;
pub mod config;
pub mod effect;
pub mod mann_whitney;
mod noise;
pub mod outliers;
pub mod rank;
pub mod sample;
pub mod score;

pub use classify::{Classification, Classified};
pub use config::{Compat, Direction, EffectSize, Invalid, JudgeConfig, Measure, MetricConfig};
pub use mann_whitney::Shift;
pub use sample::{ArmSummary, NanStrategy, Sample};
pub use score::{GroupScore, RunOutcome, ScoreClass, Summary};

use serde::{Deserialize, Serialize};

/// A metric's two series, points in any unit and of any number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricSeries {
    /// How it is judged.
    pub config: MetricConfig,
    /// The baseline's points.
    pub control: Vec<f64>,
    /// The canary's points.
    pub experiment: Vec<f64>,
}

/// One metric's part of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricResult {
    /// The metric.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Whether it was left out of the score.
    pub muted: bool,
    /// What became of it.
    #[serde(flatten)]
    pub classified: Classified,
    /// The baseline's numbers.
    pub control: ArmSummary,
    /// The canary's numbers.
    pub experiment: ArmSummary,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgeResult {
    /// Whose rules were used.
    pub compat: Compat,
    /// The score.
    pub summary: Summary,
    /// The metrics, muted ones too, in the order given.
    pub metrics: Vec<MetricResult>,
}

/// Judges all metrics of a canary.
///
/// # Errors
/// The first setting out of its range.
pub fn judge(config: &JudgeConfig, metrics: &[MetricSeries]) -> Result<JudgeResult, Invalid> {
    config.check()?;
    metrics.iter().try_for_each(|m| m.config.check())?;
    let results: Vec<_> = metrics.iter().map(|m| judge_metric(config, m)).collect();
    let votes: Vec<_> = results.iter().filter(|r| !r.muted).map(vote).collect();
    let summary = score::score(config, &votes);
    Ok(JudgeResult { compat: config.compat, summary, metrics: results })
}

fn judge_metric(config: &JudgeConfig, metric: &MetricSeries) -> MetricResult {
    let rules = &metric.config;
    let clean = |raw: &[f64]| match rules.outlier_factor {
        Some(factor) => Sample::new(raw, rules.nan_strategy).without_outliers(factor),
        None => Sample::new(raw, rules.nan_strategy),
    };
    let (control, experiment) = (clean(&metric.control), clean(&metric.experiment));
    MetricResult {
        name: rules.name.clone(),
        groups: rules.groups.clone(),
        muted: rules.muted,
        classified: classify::classify(config, rules, &control, &experiment),
        control: control.summary(),
        experiment: experiment.summary(),
    }
}

fn vote(result: &MetricResult) -> score::Vote<'_> {
    score::Vote {
        name: &result.name,
        classification: result.classified.classification,
        critical: result.classified.critical,
        groups: &result.groups,
    }
}
