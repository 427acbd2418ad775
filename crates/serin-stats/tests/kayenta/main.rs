//! The judge that is compatible with Kayenta's: published small cases, and what holds for any data.

#![allow(clippy::unwrap_used)]

mod classes;
mod numbers;
mod properties;
mod ranks;
mod repairs;
mod scores;
mod whole;

use serin_stats::kayenta::mann_whitney::{
    NoShift, shift_by_root, shift_exact, tied_z, wilcoxon_diff,
};
use serin_stats::kayenta::outliers::Fences;
use serin_stats::kayenta::rank::average_ranks;
use serin_stats::kayenta::score::{Vote, run_outcome, score, terminates};
use serin_stats::kayenta::{
    Classification::{self, Error, High, Low, Nodata, NodataFailMetric, Pass},
    Classified, Compat, Direction, EffectSize, JudgeConfig, Measure, MetricConfig, MetricSeries,
    NanStrategy, RunOutcome, Sample, ScoreClass, effect, judge,
};
use serin_stats::normal;

fn sample(values: &[f64]) -> Sample {
    Sample::new(values, NanStrategy::Remove)
}

#[track_caller]
fn near(actual: f64, expected: f64) {
    let error = (actual - expected).abs() / expected.abs().max(1.0);
    assert!(error < 1e-9, "{actual} instead of {expected}: error {error:e}");
}

/// Kayenta's rules with the tolerance and confidence of its own tests.
fn loose() -> JudgeConfig {
    JudgeConfig { tolerance: 0.1, confidence: 0.95, ..JudgeConfig::kayenta(95.0, 75.0) }
}

fn improved() -> JudgeConfig {
    JudgeConfig::improved(95.0, 75.0)
}

fn ratio(allowed: Option<(f64, f64)>, critical: Option<(f64, f64)>) -> EffectSize {
    EffectSize {
        measure: Measure::MeanRatio,
        allowed_decrease: allowed.map(|a| a.0),
        allowed_increase: allowed.map(|a| a.1),
        critical_decrease: critical.map(|c| c.0),
        critical_increase: critical.map(|c| c.1),
    }
}

fn run(
    rules: &JudgeConfig,
    config: MetricConfig,
    experiment: &[f64],
    control: &[f64],
) -> Classified {
    let series =
        MetricSeries { config, control: control.to_vec(), experiment: experiment.to_vec() };
    judge(rules, &[series]).unwrap().metrics.remove(0).classified
}

fn class(rules: &JudgeConfig, experiment: &[f64], control: &[f64]) -> Classification {
    run(rules, MetricConfig::default(), experiment, control).classification
}
